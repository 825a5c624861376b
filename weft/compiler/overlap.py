"""Resets go before what follows the products of the tile before, so that both run beside products.

Of two virtual threads' tiles, each in a half of ACC, the stream has

    reset 0, gemm 0, requant 0, store 0, reset 1, gemm 1, requant 1, store 1, reset 0, gemm 0, ...

Resets and ALU operations are done in order, and the second reset would wait behind a requantisation that waits for the
products before it, and the second gemm with it. So requantisations, and what they are followed by, move to the next products:

    reset 0, gemm 0, reset 1, requant 0, store 0, gemm 1, reset 0, requant 1, store 1, gemm 0, ...

Loads into ACC go before the resets of the same half that stand in front of them, lest those of the other half wait behind both.
Nothing moves past what touches the same elements or bytes.
"""

from collections.abc import Iterable

from weft.isa import Config, Module, Opcode

from .tokens import Operation
from .uop_buffer import Call
from .weave import Item


def overlap(items: Iterable[Item], config: Config) -> list[Item]:
    """The items in that order; they mean the same when they run one after the other."""
    half = config.acc_depth // 2
    return _resets_first(_loads_first(items, half), half)


def _loads_first(items: Iterable[Item], half: int) -> list[Item]:
    done: list[Item] = []
    for item in items:
        operation, at = _operation(item), len(done)
        if operation.opcode in (Opcode.LOAD, Opcode.LOAD_PAD) and operation.module == Module.COMPUTE:
            mine = _halves(operation, half)
            while at and mine and _halves(before := _operation(done[at - 1]), half) == mine and not _conflict(before, operation) \
                    and before.opcode in (Opcode.GEMM, Opcode.ALU) and not _multiplies(before):
                at -= 1
        done.insert(at, item)
    return done


def _resets_first(items: Iterable[Item], half: int) -> list[Item]:
    done: list[Item] = []
    late: list[Item] = []
    products: set[int] = set()  # halves of ACC that they went to since `late` was last empty again
    for item in items:
        operation = _operation(item)
        follows = operation.module == Module.STORE or operation.opcode == Opcode.ALU
        if follows and (any(_conflict(operation, _operation(other)) for other in late)
                        or operation.opcode == Opcode.ALU and products & _halves(operation, half)):
            late.append(item)
            continue
        multiplies = _multiplies(operation)
        if late and (multiplies or any(_conflict(operation, _operation(other)) for other in late)):
            done += late
            late, products = [], set()
        done.append(item)
        if multiplies:
            products |= _halves(operation, half)
    return done + late


def _operation(item: Item) -> Operation:
    return item.operation if isinstance(item, Call) else item


def _multiplies(operation: Operation) -> bool:
    return operation.module == Module.COMPUTE and any(scope == "inp" for scope, _, _ in operation.reads)


def _halves(operation: Operation, half: int) -> set[int]:
    """The halves of ACC that it touches."""
    touched = (*operation.reads, *operation.writes)
    return {element // half for scope, begin, end in touched if scope == "acc" for element in (begin, end - 1)}


def _conflict(a: Operation, b: Operation) -> bool:
    """Whether one writes what the other one touches."""
    return (_meet(a.writes, b.writes) or _meet(a.writes, b.reads) or _meet(a.reads, b.writes)
            or a.dram is not None and b.dram is not None and Module.STORE in (a.module, b.module)
            and a.dram.start < b.dram.end and b.dram.start < a.dram.end)


def _meet(some: tuple[tuple[str, int, int], ...], others: tuple[tuple[str, int, int], ...]) -> bool:
    return any(scope == other and begin < last and first < end for scope, begin, end in some for other, first, last in others)
