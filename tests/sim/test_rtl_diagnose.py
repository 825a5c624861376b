"""Who waits for whom, in words."""

from weft.isa import Instruction, Memory, Module, Opcode
from weft.isa.registers import REGISTERS, Queue
from weft.sim.rtl.diagnose import bits, running, steps, who_waits

LOAD = Instruction(Opcode.LOAD, {"memory_type": Memory.INP, "push_next": 1})
GEMM = Instruction(Opcode.GEMM, {"pop_prev": 1, "pop_next": 1, "uop_end": 3, "iter_out": 4, "iter_in": 5})
STORE = Instruction(Opcode.STORE, {"memory_type": Memory.OUT, "pop_prev": 1})
STREAM = [LOAD, GEMM, STORE]


def register(name: str, **values: int) -> int:
    return sum(values.get(field, 0) << low for field, low, _ in REGISTERS[name].bits)


def test_bits_follow_the_register_map():
    assert bits("tokens", register("tokens", **{Queue.COMPUTE_TO_STORE.name.lower(): 7}))["compute_to_store"] == 7


def test_steps_and_the_running_instruction():
    assert steps(GEMM) == 60 and steps(LOAD) == 0
    assert running(STREAM, Module.COMPUTE, 1, 0) == (1, GEMM)
    assert running(STREAM, Module.COMPUTE, 1, 1) is None and running(STREAM, Module.COMPUTE, 0, 0) is None


def test_every_kind_of_sentence():
    begun = {Module.LOAD: (1, 0), Module.COMPUTE: (0, 0), Module.STORE: (1, 1)}
    assert who_waits(STREAM, begun, register("tokens"), register("status", load_full=1)) == (
        "load waits for room in a token queue in instruction 0 (LOAD INP, push_next); "
        "compute waits for a token of load and of store before instruction 1 (GEMM, pop_prev, pop_next); "
        "store has done all its 1 instructions")
    begun = {Module.LOAD: (1, 0), Module.COMPUTE: (0, 0), Module.STORE: (0, 0)}
    held = register("tokens", load_to_compute=1, compute_to_store=1)
    assert who_waits(STREAM, begun, held, 0) == (
        "load is in instruction 0 (LOAD INP, push_next); compute waits for a token of store before instruction 1 (GEMM, pop_prev, "
        "pop_next); store has not begun instruction 2 (STORE OUT, pop_prev)")
