"""Weaving: the operations of virtual threads become one stream; one loads and stores while another one computes.

Each thread's operations are cut into stretches that begin with loads and end with stores, and the threads take turns. A
stretch is: what can be done before anything has come (resets, parameters), loads, the computing that they are for, stores.
Modules run in order: so a stretch ends before the next load that has to wait for this computing, and after a store, for what
follows would wait for the store. Meanwhile, it is the other threads' turn.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby, zip_longest

from weft.isa import Memory, Module

from .tokens import Operation
from .uop_buffer import Call

Item = Operation | Call


def weave(threads: Iterable[list[Item]]) -> Iterator[Item]:
    """One stretch of each thread in turn, until all are done; each thread's own order stays."""
    for stretches_in_turn in zip_longest(*map(stretches, threads), fillvalue=()):
        for stretch in stretches_in_turn:
            yield from stretch


def stretches(items: list[Item]) -> Iterator[list[Item]]:
    """A thread's operations, cut as said above."""
    stretch: list[Item] = []
    uses_loads = stores = False
    for item in items:
        operation = item.operation if isinstance(item, Call) else item
        module = operation.module
        if module == Module.LOAD and uses_loads or module != Module.STORE and stores:
            yield stretch
            stretch, uses_loads, stores = [], False, False
        stretch.append(item)
        stores |= module == Module.STORE
        uses_loads |= module == Module.COMPUTE and any(name in ("inp", "wgt") for name, _, _ in operation.reads)
    if stretch:
        yield stretch


def weights_first(items: list[Item]) -> list[Item]:
    """The same with the weights first among loads that stand in a row: they never wait for what another layer stores."""
    ordered: list[Item] = []
    for loads, run in groupby(items, key=lambda item: isinstance(item, Operation) and item.module == Module.LOAD):
        ordered += sorted(run, key=lambda item: item.fields["memory_type"] != Memory.WGT) if loads else run
    return ordered
