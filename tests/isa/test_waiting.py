"""Sentences about a machine that does not go on."""

from weft.isa import Instruction, Memory, Module, Opcode, waiting

LOAD = Instruction(Opcode.LOAD, {"memory_type": Memory.INP, "push_next": 1})
GEMM = Instruction(Opcode.GEMM, {"pop_prev": 1, "pop_next": 1})


def test_an_instruction_is_named_with_its_memory_and_tokens():
    assert waiting.instruction_text(7, LOAD) == "instruction 7 (LOAD INP, push_next)"
    assert waiting.instruction_text(8, Instruction(Opcode.FINISH)) == "instruction 8 (FINISH)"
    padded = Instruction(Opcode.LOAD_PAD, {"memory_type": Memory.ACC})
    assert waiting.instruction_text(0, padded) == "instruction 0 (LOAD_PAD ACC)"


def test_sentences():
    assert waiting.has_done(Module.STORE, 3) == "store has done all its 3 instructions"
    assert waiting.waits_for_tokens(Module.COMPUTE, [Module.LOAD, Module.STORE], 1, GEMM) == (
        "compute waits for a token of load and of store before instruction 1 (GEMM, pop_prev, pop_next)")
    assert waiting.waits_for_room(Module.LOAD, 0, LOAD) == "load waits for room in a token queue in instruction 0 (LOAD INP, push_next)"
    assert waiting.is_in(Module.LOAD, 0, LOAD) == "load is in instruction 0 (LOAD INP, push_next)"
    assert waiting.has_not_begun(Module.LOAD, 0, LOAD) == "load has not begun instruction 0 (LOAD INP, push_next)"
