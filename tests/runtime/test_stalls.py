"""Every cycle is accounted for: the rules cycle by cycle are the definition, segments are tested against them."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tests.conftest import EXAMPLES
from tests.random_programs import random_program
from weft.isa import DEFAULT, PRESETS, Instruction, Memory, Module, Opcode, decode
from weft.isa.registers import Queue
from weft.runtime.device import EVENT, open_device
from weft.runtime.stalls import CAUSES, segments, token_times
from weft.runtime.work import work

LOADS = (Opcode.LOAD, Opcode.LOAD_PAD)


def cycle_by_cycle(module, instructions, works, events, cycles, ready):
    """The rules of stalls.py, one cycle after the other: [(cause, instruction)] from cycle 1 on."""
    own = [k for k, i in enumerate(instructions) if i.module == module]
    left = {k: works[k].cycles for k in own}
    found = []
    for t in range(1, cycles + 1):
        begun = [k for k in own if events["start"][k] <= t]
        following = next((k for k in own if events["start"][k] > t), None)
        under_way = [k for k in begun if t <= events["end"][k]]
        found.append(_one_cycle(module, instructions, works, ready, left, under_way, begun, following, t))
    return found


def _one_cycle(module, instructions, works, ready, left, under_way, begun, following, t):
    def transfers(k):
        return ("micro-ops" if works[k].kind == "micro-ops" else "dram"), k

    youngest_first = under_way[::-1]
    if module == Module.COMPUTE:
        products = [k for k in under_way if works[k].kind in ("gemm", "depthwise")]
        for k in (*products, *(k for k in youngest_first if k not in products)):
            if left[k]:
                left[k] -= 1
                return works[k].kind, k
        if begun and begun[-1] in under_way and instructions[begun[-1]].opcode in LOADS:
            return transfers(begun[-1])
    elif under_way:
        k = under_way[0]
        if left[k]:
            left[k] -= 1
            return works[k].kind, k
        return ("dram" if works[k].kind else "pipeline"), k
    if following is not None and ready[following].module is not None and t < ready[following].at:
        return f"waits for {ready[following].module.name.lower()}", following
    for k in youngest_first:
        if instructions[k].opcode in LOADS:
            return transfers(k)
    if under_way:
        return "pipeline", under_way[-1]
    return ("done", begun[-1] if begun else -1) if following is None else ("fetch", following)


def check(instructions, events, cycles, config):
    """Segments cover every cycle once and say what the rules say. Returns them."""
    works = [work(i, config) for i in instructions]
    found = segments(instructions, works, events, cycles)
    ready = token_times(instructions, events)
    for module in Module:
        own = found[found["module"] == module]
        assert own["start"][0] == 1 and own["end"][-1] == cycles + 1 and (own["start"][1:] == own["end"][:-1]).all()
        assert (own["end"] - own["start"]).sum() == cycles
        by_cycle = [(CAUSES[s["cause"]], s["instruction"]) for s in own for _ in range(s["start"], s["end"])]
        assert by_cycle == cycle_by_cycle(module, instructions, works, events, cycles, ready)
    return works, found


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
@settings(max_examples=EXAMPLES or 5)
@given(seed=st.integers(0, 2**32 - 1), latency=st.sampled_from([0, 16, 64]), stall_seed=st.one_of(st.none(), st.integers(0, 99)))
def test_random_programs_on_rtl(config, seed, latency, stall_seed):
    program = random_program(config, seed)
    device = open_device("rtl", config, program.dram_base + program.dram_before.size, latency=latency, stall_seed=stall_seed)
    device.write(program.dram_base, program.dram_before)
    report = device.launch(program.insn_address, len(program.insns), trace=True)
    device.close()
    check(decode(program.insns, config), report.events, report.cycles, config)


@st.composite
def made_up(draw):
    """A stream and events that no hardware made: instructions overlap as they like, in order in each module."""
    kinds = {Module.LOAD: lambda n: Instruction(Opcode.LOAD, {"memory_type": Memory.INP, "x_size": n, "y_size": 1}),
             Module.STORE: lambda n: Instruction(Opcode.STORE, {"memory_type": Memory.OUT, "x_size": n, "y_size": 1})}
    flags = {Module.LOAD: ("pop_next", "push_next"), Module.COMPUTE: ("pop_prev", "pop_next", "push_prev", "push_next"),
             Module.STORE: ("pop_prev", "push_prev")}
    instructions, events, free = [], [], dict.fromkeys(Module, (0, 0))
    for _ in range(draw(st.integers(1, 12))):
        module, size = draw(st.sampled_from(list(Module))), draw(st.integers(0, 6))
        if module == Module.COMPUTE:
            made = draw(st.sampled_from([Instruction(Opcode.GEMM, {"uop_end": 1, "iter_out": 1, "iter_in": size}),
                                         Instruction(Opcode.LOAD, {"memory_type": Memory.UOP, "x_size": size, "y_size": 1}),
                                         Instruction(Opcode.LOAD, {"memory_type": Memory.QNT, "x_size": size, "y_size": 1})]))
        else:
            made = kinds[module](size)
        instructions.append(Instruction(made.opcode, {**made.fields, **{f: 1 for f in flags[module] if draw(st.booleans())}}))
        start = free[module][0] + draw(st.integers(1, 20))
        end = max(start, free[module][1] + 1) + draw(st.integers(0, 30))
        events.append((module, start, end))
        free[module] = start, end
    return instructions, np.array(events, EVENT)


@given(made_up(), st.integers(0, 20))
def test_whatever_overlaps(made, after):
    instructions, events = made
    check(instructions, events, int(events["end"].max()) + after, DEFAULT)


def _launch(**fields):
    return Instruction(Opcode.LOAD, {"memory_type": Memory.INP, "x_size": 4, "y_size": 1, **fields})


def test_a_launch_by_hand():
    """A load of 8 beats gives its token in cycle 40; the GEMM of 6 steps waits for it and drains for 4 cycles."""
    gemm = Instruction(Opcode.GEMM, {"uop_end": 1, "iter_out": 2, "iter_in": 3, "pop_prev": 1})
    stream = [_launch(push_next=1), gemm, Instruction(Opcode.FINISH)]
    events = np.array([(0, 5, 40), (1, 41, 51), (1, 47, 52)], EVENT)
    _, found = check(stream, events, 52, DEFAULT)
    text = [(Module(s["module"]).name, int(s["start"]), int(s["end"]), CAUSES[s["cause"]], int(s["instruction"]), int(s["by"])) for s in found]
    assert text == [
        ("LOAD", 1, 5, "fetch", 0, -1), ("LOAD", 5, 13, "load", 0, -1), ("LOAD", 13, 41, "dram", 0, -1), ("LOAD", 41, 53, "done", 0, -1),
        ("COMPUTE", 1, 41, "waits for load", 1, 0), ("COMPUTE", 41, 47, "gemm", 1, -1), ("COMPUTE", 47, 53, "pipeline", 2, -1),
        ("STORE", 1, 53, "done", -1, -1)]


def test_tokens_left_over_are_taken_first():
    stream = [_launch(push_next=1), _launch(push_next=1), *(Instruction(Opcode.GEMM, {"pop_prev": 1}) for _ in range(3))]
    events = np.array([(0, 1, 10), (0, 3, 20), (1, 2, 3), (1, 11, 12), (1, 21, 22)], EVENT)
    ready = token_times(stream, events, {q: int(q == Queue.LOAD_TO_COMPUTE) for q in Queue})
    assert [(r.at, r.by) for r in ready] == [(0, -1), (0, -1), (0, -1), (11, 0), (21, 1)]


def test_a_full_queue_waits_for_a_pop():
    count = 257
    stream = [_launch(push_next=1)] * count + [Instruction(Opcode.GEMM, {"pop_prev": 1})] * 2
    events = np.zeros(len(stream), EVENT)
    events["start"] = events["end"] = [*range(1, count + 1), 500, 600]
    events["module"][count:] = Module.COMPUTE
    ready = token_times(stream, events)
    assert [(r.at, r.by) for r in ready[253:257]] == [(0, -1), (0, -1), (501, 257), (601, 258)]
    assert ready[255].module == Module.COMPUTE


def test_no_instructions_of_a_module():
    found = segments([Instruction(Opcode.FINISH)], [work(Instruction(Opcode.FINISH), DEFAULT)], np.array([(1, 4, 6)], EVENT), 6)
    assert [(s["module"], CAUSES[s["cause"]], s["end"] - s["start"]) for s in found] == [
        (0, "done", 6), (1, "fetch", 3), (1, "pipeline", 3), (2, "done", 6)]
