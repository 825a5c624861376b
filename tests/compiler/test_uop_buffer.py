"""The micro-op buffer: what every call finds in it, and what it costs."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from weft.compiler.micro_ops import Kernel
from weft.compiler.tokens import Operation
from weft.compiler.uop_buffer import Call, UopBuffer
from weft.isa import Config, Module, Opcode, decode_micro_ops

SMALL = Config(name="16 micro-ops", uop_buffer=64)
ADDRESS = 4096
KERNELS = [Kernel({}, np.array([[k, 2 * k + i, i] for i in range(size)]), (0, 0, 0), (0, 0, 0))
           for k, size in enumerate((1, 2, 3, 5, 7, 8))]


def call(kernel: Kernel, base: int = 0) -> Call:
    return Call(Operation(Opcode.GEMM, {}, Module.COMPUTE, 0), kernel, (base, 0, 0))


def play(operations: list[Operation], blob: np.ndarray) -> tuple[list[list[tuple[int, ...]]], int]:
    """(the micro-ops that each GEMM sees, loads), by what the instructions mean."""
    buffer, seen, loads = np.zeros(SMALL.uop_depth, np.uint32), [], 0
    for o in operations:
        f = o.fields
        if o.opcode == Opcode.LOAD:
            begin = f["dram_base"] - ADDRESS // SMALL.uop_bytes
            buffer[f["sram_base"]:f["sram_base"] + f["x_size"]] = blob[begin:begin + f["x_size"]]
            assert (o.dram.start, o.dram.size) == (ADDRESS + begin * 4, f["x_size"] * 4)
            loads += 1
        else:
            seen.append(list(zip(*map(list, decode_micro_ops(buffer[f["uop_bgn"]:f["uop_end"]], SMALL)))))
    return seen, loads


def meant(calls: list[Call]) -> list[list[tuple[int, ...]]]:
    return [[tuple(row) for row in c.kernel.offsets + np.array(c.bases)] for c in calls]


@given(st.lists(st.lists(st.tuples(st.sampled_from(KERNELS), st.integers(0, 2)), max_size=15), max_size=4))
def test_every_call_sees_its_micro_ops(programs):
    micro_ops = UopBuffer(SMALL, ADDRESS)
    calls = [[call(*c) for c in program] for program in programs]
    operations = [o for program in calls for o in micro_ops.resolve(program)]
    seen, loads = play(operations, micro_ops.blob())
    assert seen == meant([c for program in calls for c in program])
    assert loads <= sum(map(len, calls))
    distinct = {tuple(m) for m in meant([c for program in calls for c in program])}
    assert micro_ops.blob().size == sum(map(len, distinct)), "a kernel is stored once"


def test_what_is_needed_soon_comes_with_one_load():
    micro_ops = UopBuffer(SMALL, ADDRESS)
    first = list(micro_ops.resolve([call(KERNELS[0]), call(KERNELS[1]), call(KERNELS[0]), call(KERNELS[2])]))
    assert [o.opcode for o in first] == [Opcode.LOAD] + [Opcode.GEMM] * 4
    assert [o.opcode for o in micro_ops.resolve([call(KERNELS[2]), call(KERNELS[0])])] == [Opcode.GEMM] * 2


def test_a_load_takes_half_of_the_buffer_at_most():
    operations = list(UopBuffer(SMALL, ADDRESS).resolve([call(KERNELS[4]), call(KERNELS[1]), call(KERNELS[1])]))
    assert [(o.opcode.name, o.fields.get("x_size")) for o in operations] == [
        ("LOAD", 7), ("GEMM", None), ("LOAD", 2), ("GEMM", None), ("GEMM", None)]


def test_operations_without_micro_ops_pass():
    store = Operation(Opcode.STORE, {}, Module.STORE, 0)
    assert list(UopBuffer(SMALL, ADDRESS).resolve([store])) == [store]
