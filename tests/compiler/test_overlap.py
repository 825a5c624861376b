"""The order in which resets, products and what follows them begin."""

import numpy as np

from weft.compiler.overlap import overlap
from weft.compiler.tokens import DramBlock, Operation
from weft.isa import DEFAULT, Memory, Module, Opcode

HALF = DEFAULT.acc_depth // 2
COMPUTE, STORE = Module.COMPUTE, Module.STORE


def acc(half, begin=0, end=8):
    return ("acc", half * HALF + begin, half * HALF + end)


def reset(half):
    return Operation(Opcode.GEMM, {"reset": 1}, COMPUTE, 0, (), (acc(half),))


def gemm(half):
    return Operation(Opcode.GEMM, {}, COMPUTE, 0, (acc(half), ("inp", 0, 4), ("wgt", 0, 4)), (acc(half),))


def requant(half):
    return Operation(Opcode.ALU, {}, COMPUTE, 0, (acc(half), ("qnt", 0, 1)), (acc(half),))


def load(half, begin=8, end=16):
    return Operation(Opcode.LOAD, {"memory_type": Memory.ACC_8BIT}, COMPUTE, 0, (), (acc(half, begin, end),), DramBlock(0, 1, 64, 64))


def parameters():
    return Operation(Opcode.LOAD, {"memory_type": Memory.QNT}, COMPUTE, 0, (), (("qnt", 0, 1),), DramBlock(0, 1, 256, 256))


def store(half, start=4096):
    return Operation(Opcode.STORE, {}, STORE, 0, (acc(half),), (), DramBlock(start, 1, 128, 128))


def tiles(halves):
    return [[reset(half), gemm(half), requant(half), store(half, 4096 * (k + 1))] for k, half in enumerate(halves)]


def ordered(items):
    """Their positions after `overlap`."""
    found = overlap(items, DEFAULT)
    return [next(k for k, item in enumerate(items) if item is other) for other in found]


def test_tiles_of_two_threads():
    a, b, c = tiles([0, 1, 0])
    assert ordered([*a, *b, *c]) == [0, 1, 4, 2, 3, 5, 8, 6, 7, 9, 10, 11]


def test_tiles_of_one_thread_stay():
    a, b = tiles([0, 0])
    assert ordered([*a, *b]) == list(range(8))


def test_parameters_wait_for_those_that_read_the_last_ones():
    a, b = tiles([0, 1])
    assert ordered([*a, parameters(), *b]) == list(range(9))


def test_a_load_of_what_is_stored_late_waits_for_it():
    a, b = tiles([0, 1])
    read = Operation(Opcode.LOAD, {"memory_type": Memory.INP}, Module.LOAD, 0, (), (("inp", 8, 12),), DramBlock(4096 + 64, 1, 64, 64))
    assert ordered([*a, read, *b]) == list(range(9))
    read.dram = DramBlock(3 * 4096, 1, 64, 64)
    assert ordered([*a, read, *b]) == [0, 1, 4, 5, 2, 3, 6, 7, 8]


def test_loads_go_before_resets_of_their_half():
    assert ordered([reset(0), load(0), requant(0), reset(1), load(1), requant(1)]) == [1, 0, 2, 4, 3, 5]
    assert ordered([reset(0), load(0, 4, 12)]) == [0, 1]  # it writes what the reset does
    assert ordered([reset(0), load(1)]) == [0, 1]


def touched(operation):
    written = {(scope, k) for scope, begin, end in operation.writes for k in range(begin, end)}
    read = {(scope, k) for scope, begin, end in operation.reads for k in range(begin, end)}
    if operation.dram is not None:
        span = {("dram", k) for k in range(operation.dram.start // 64, -(-operation.dram.end // 64))}
        written, read = (written | span, read) if operation.module == STORE else (written, read | span)
    return read, written


def test_nothing_passes_what_it_depends_on():
    rng = np.random.default_rng(3)
    kinds = (reset, gemm, requant, load, store)
    for _ in range(60):
        items = [kinds[rng.integers(len(kinds))](int(rng.integers(2))) if rng.random() < 0.9 else parameters() for _ in range(25)]
        order = ordered(items)
        assert sorted(order) == list(range(len(items)))
        place = {k: at for at, k in enumerate(order)}
        for j, later in enumerate(items):
            for i, earlier in enumerate(items[:j]):
                (read_a, written_a), (read_b, written_b) = touched(earlier), touched(later)
                if written_a & (read_b | written_b) or read_a & written_b:
                    assert place[i] < place[j], (i, j)
