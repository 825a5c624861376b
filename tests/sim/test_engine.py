"""Machine code, in each form that this CPU can run, does what the NumPy meaning does one step at a time."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tests.random_programs import random_program
from tests.sim.engines import engine_of, tried_forms
from weft.isa import (ALU_OPS, DEFAULT, PRESETS, AluOp, Config, Instruction, Memory, Opcode, WeftError, encode,
                      encode_micro_ops)
from weft.isa.table import MAX_TAPS, layouts, micro_op_layout
from weft.runtime.device import Bases
from weft.sim.engine import Engine, compiled, decode_stream, forms
from weft.sim.functional import FunctionalDevice
from weft.sim.reference import ReferenceDevice
from weft.sim.scratchpads import Scratchpads

MEMORIES = ("uop", "inp", "wgt", "acc", "qnt", "lut")
ODD = [Config(name=f"{batch}x{block}x{block}", batch=batch, block_in=block, block_out=block, uop_buffer=1 << 10,
              inp_buffer=max(1 << 10, 64 * batch * block), wgt_buffer=32 * block * block,
              acc_buffer=256 * batch * block, qnt_buffer=256 * block)
       for batch, block in ((1, 1), (4, 2), (1, 4), (1, 64))]
CONFIGS = [*PRESETS.values(), *ODD]
SEEDS = st.integers(0, 2**32 - 1)
DRAM = 1 << 14


def random_bytes(rng, array: np.ndarray):
    array.view(np.uint8)[...] = rng.integers(0, 256, array.view(np.uint8).shape, np.uint8)


def random_instruction(rng, config: Config, opcode: Opcode) -> Instruction:
    """Any instruction, most of them within the scratchpads."""
    fields = layouts(config)[opcode].fields
    below = lambda n: int(rng.integers(0, n))
    if opcode in (Opcode.LOAD, Opcode.LOAD_PAD, Opcode.STORE):
        memory = int(rng.choice([m for m in Memory if m != Memory.OUT])) if opcode != Opcode.STORE else Memory.OUT
        values = dict(memory_type=memory, sram_base=below(8), dram_base=below(9), y_size=below(4), x_size=below(5),
                      x_stride=below(8))
        if opcode != Opcode.STORE:
            values |= {f"{axis}_pad_{side}": below(3) for axis in "xy" for side in (0, 1) if below(2)}
        return Instruction(opcode, values | ({"pad_value": below(256) - 128} if opcode == Opcode.LOAD_PAD else {}))
    begin = below(4)
    one_of = lambda *values: int(rng.choice(values))
    values = {"uop_bgn": begin, "uop_end": max(0, begin + one_of(-1, 0, 1, 1, 1, 2, 3, 8)), "iter_out": one_of(0, 1, 2, 3, 4),
              "iter_in": one_of(0, 1, 2, 4, 13), "half": below(2)}
    for name in fields:
        if "_factor_" in name:
            factors = (0, 0, 0, 1, 2) if name.startswith("wgt") else (0, 1, 1, 1, 2, 4, 40)
            values[name] = min(one_of(*factors), fields[name].bounds[1])
    if opcode == Opcode.GEMM:
        values["reset"] = int(below(8) == 0)
    elif opcode == Opcode.ALU:
        values |= {"alu_opcode": one_of(*ALU_OPS, *ALU_OPS, 7), "use_imm": below(2),
                   "imm": one_of(below(1 << 16) - (1 << 15), below(80) - 40)}
    else:
        values["taps"] = below(min(config.block_in, MAX_TAPS) + 2)
    return Instruction(opcode, values)


def outcome(act) -> str | None:
    """What an action is refused with."""
    try:
        act()
    except WeftError as error:
        return str(error)


@pytest.mark.parametrize("opcode", [o for o in Opcode if o != Opcode.FINISH], ids=lambda o: o.name)
@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.name)
@given(seed=SEEDS)
def test_random_instructions_on_random_contents(config, opcode, seed):
    rng = np.random.default_rng(seed)
    instruction = random_instruction(rng, config, opcode)
    depth = {kind: 1 << micro_op_layout(config).fields[kind].width for kind in ("dst", "src", "wgt")}
    first = [int(rng.choice([0, 0, d // 2, d // 2 - 1])) for d in depth.values()]
    micro_ops = encode_micro_ops(*((f + rng.integers(0, min(d, rng.choice([1, 3, 16])), 16)) % d
                                   for f, d in zip(first, depth.values())), config)
    reference, dram = Scratchpads(config, sequential=True), rng.integers(0, 256, DRAM, np.uint8)
    for name in MEMORIES:
        random_bytes(rng, getattr(reference, name))
    reference.uop[:16] = micro_ops
    engines = [engine_of(config, form) for form in tried_forms(config)]
    drams = [dram.copy() for _ in engines]
    bases = Bases(**dict.fromkeys(("uop", "inp", "wgt", "acc", "out", "qnt", "lut"), 64))
    for engine, own in zip(engines, drams):
        for name in MEMORIES:
            getattr(engine.pads, name)[...] = getattr(reference, name)
        engine.begin(decode_stream(encode([instruction], config), config), own, bases)
    expected = outcome(lambda: reference.execute(0, instruction, dram, bases))
    for engine, own in zip(engines, drams):
        before = engine.counters
        assert outcome(lambda: engine.execute([0])) == expected, engine.form
        assert np.array_equal(own, dram), engine.form
        for name in MEMORIES:
            assert np.array_equal(getattr(engine.pads, name), getattr(reference, name)), (name, engine.form)
        assert expected or {k: v - before[k] for k, v in engine.counters.items()} == reference.counters, engine.form


def assert_same(config: Config, instruction: Instruction, micro_ops: np.ndarray, form: str):
    """One instruction on the same random contents, in machine code and one step at a time."""
    rng = np.random.default_rng(len(micro_ops))
    engine, reference = engine_of(config, form), Scratchpads(config, sequential=True)
    for name in MEMORIES:
        random_bytes(rng, getattr(reference, name))
    reference.uop[:len(micro_ops)] = micro_ops
    for name in MEMORIES:
        getattr(engine.pads, name)[...] = getattr(reference, name)
    dram = np.zeros(64, np.uint8)
    engine.begin(decode_stream(encode([instruction], config), config), dram, Bases())
    engine.execute([0])
    reference.execute(0, instruction, dram, Bases())
    assert np.array_equal(engine.pads.acc, reference.acc), instruction


LOOPS = dict(iter_out=3, iter_in=4, src_factor_out=5, src_factor_in=1)


@pytest.mark.parametrize("form", forms(DEFAULT))
def test_sums_that_meet_in_one_element_of_acc(form):
    """However the loops of a GEMM lead back to an element: no sum is lost. Some micro-ops share a weight or an element."""
    micro_ops = encode_micro_ops([3, 4, 3, 3], [0, 2, 7, 2], [1, 1, 5, 1], DEFAULT)
    for dst_out, dst_in, wgt_out, wgt_in in product((0, 1, 2, 4), (0, 1, 3), (0, 1), (0, 2)):
        fields = LOOPS | dict(uop_end=4, dst_factor_out=dst_out, dst_factor_in=dst_in, wgt_factor_out=wgt_out,
                              wgt_factor_in=wgt_in)
        assert_same(DEFAULT, Instruction(Opcode.GEMM, fields), micro_ops, form)


def test_more_turns_than_a_plan_has_room_for():
    micro_ops = encode_micro_ops(np.arange(1000) % 7, np.arange(1000) % 11, np.arange(1000) % 13, DEFAULT)
    for trips in ((1, 9), (9, 1), (3, 4), (9, 9)):
        fields = dict(uop_end=1000, iter_out=trips[0], iter_in=trips[1], wgt_factor_out=1, wgt_factor_in=2, dst_factor_in=1)
        assert_same(DEFAULT, Instruction(Opcode.GEMM, fields), micro_ops, "plain")


@pytest.mark.parametrize("op", ALU_OPS.values(), ids=lambda op: op.name)
def test_operands_that_change_along_the_loops(op):
    """One micro-op and several; a second operand that stays, or changes along a loop; steps that see the one before."""
    for uops, src_out, src_in, dst_in, use_imm in product((1, 2), (0, 1), (0, 1), (0, 1), (0, 1)):
        fields = dict(uop_end=uops, iter_out=2, iter_in=2, dst_factor_out=2, dst_factor_in=dst_in, src_factor_out=src_out,
                      src_factor_in=src_in, alu_opcode=op.code, use_imm=use_imm, imm=-3)
        assert_same(DEFAULT, Instruction(Opcode.ALU, fields), encode_micro_ops([5, 1], [1, 0], 0, DEFAULT), "plain")


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
@given(seed=SEEDS)
def test_random_programs(config, seed):
    program = random_program(config, seed)
    size = program.dram_base + program.dram_before.size
    results = []
    for device in (ReferenceDevice(config, size), *(FunctionalDevice(config, size, form) for form in tried_forms(config))):
        device.write(program.dram_base, program.dram_before)
        report = device.launch(program.insn_address, len(program.insns), trace=True)
        del report.counters["seconds"]
        results.append((device, report))
    expected, expected_report = results[0]
    for device, report in results[1:]:
        assert np.array_equal(device.dram, expected.dram), device.engine.form
        assert np.array_equal(report.events, expected_report.events)
        assert report.counters == expected_report.counters and device.tokens == expected.tokens
        for name in MEMORIES:
            assert np.array_equal(getattr(device.pads, name), getattr(expected.pads, name)), (name, device.engine.form)


def test_execute_runs_in_the_order_that_is_asked_for():
    """Sums of a reset, a load and an addition: each order leaves another number."""
    body = [Instruction(Opcode.GEMM, {"reset": 1, "uop_end": 1, "iter_out": 1, "iter_in": 1}),
            Instruction(Opcode.LOAD, {"memory_type": Memory.ACC_8BIT, "x_size": 1, "y_size": 1}),
            Instruction(Opcode.ALU, {"alu_opcode": 2, "use_imm": 1, "imm": 7, "uop_end": 1, "iter_out": 1, "iter_in": 1})]
    found = {}
    for order in ([0, 1, 2], [1, 0, 2], [1, 2, 0], [2, 1]):
        engine = Engine(DEFAULT)
        engine.begin(decode_stream(encode(body, DEFAULT), DEFAULT), np.full(64, 3, np.uint8), Bases())
        engine.execute(order)
        found[tuple(order)] = int(engine.pads.acc[0, 0, 0])
    assert found == {(0, 1, 2): 10, (1, 0, 2): 7, (1, 2, 0): 0, (2, 1): 3}


def test_every_operation_of_the_table_is_run_by_the_machine_code():
    """An entry of the table is all that an operation needs: none is refused."""
    for op in ALU_OPS.values():
        engine = Engine(DEFAULT)
        instruction = Instruction(Opcode.ALU, {"alu_opcode": op.code, "uop_end": 1, "iter_out": 1, "iter_in": 1})
        engine.begin(decode_stream(encode([instruction], DEFAULT), DEFAULT), np.zeros(64, np.uint8), Bases())
        engine.execute([0])


def test_a_new_operation_is_an_entry_of_the_table(monkeypatch):
    """Neither the NumPy meaning nor the machine code has to know of it."""
    config = PRESETS["1x8x8"]
    meaning = lambda x, y: np.minimum(np.maximum(x - y * 3, -1000), 1000)
    monkeypatch.setitem(ALU_OPS, 7, AluOp(7, "clamped difference", meaning, "for this test"))
    instruction = Instruction(Opcode.ALU, {"alu_opcode": 7, "uop_end": 1, "iter_out": 1, "iter_in": 40, "dst_factor_in": 1,
                                           "src_factor_in": 3})
    engine, reference = Engine(config), Scratchpads(config)
    engine._code = compiled.Compiled(compiled.object_code(config, engine.form), engine.form)
    for pads in (engine.pads, reference):
        pads.acc[...] = np.random.default_rng(0).integers(-900, 900, pads.acc.shape)
    engine.begin(decode_stream(encode([instruction], config), config), np.zeros(64, np.uint8), Bases())
    engine.execute([0])
    reference.execute(0, instruction, np.zeros(64, np.uint8), Bases())
    assert np.array_equal(engine.pads.acc, reference.acc) and len(np.unique(reference.acc)) > 99


def test_forms_ask_for_every_feature_that_they_use():
    def names(**features):
        return list(forms(DEFAULT, features))

    wide = dict.fromkeys(("avx512f", "avx512bw", "avx512vl", "avx512dq", "avx2", "sse2"), True)
    assert names(sse2=True) == ["plain"] and names() == ["plain"]
    assert names(sse2=True, avx2=True) == ["avx2", "plain"]
    assert names(sse2=True, avx2=True, avxvnni=True) == ["vnni256", "avx2", "plain"]
    assert names(**wide) == ["avx512", "avx2", "plain"]
    assert names(**wide, avx512vnni=True) == ["vnni", "vnni256", "avx512", "avx2", "plain"]
    assert names(**{**wide, "avx512bw": False}, avx512vnni=True) == ["avx2", "plain"]


def test_machine_code_is_kept_and_an_unwritable_cache_is_no_obstacle(tmp_path, monkeypatch):
    form = forms(DEFAULT)["plain"]
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path / "cache"))
    compiled.code_for.__wrapped__(DEFAULT, form)
    [kept] = (tmp_path / "cache").iterdir()
    monkeypatch.setattr(compiled, "object_code", lambda *_: pytest.fail("made again"))
    compiled.code_for.__wrapped__(DEFAULT, form)
    monkeypatch.undo()
    content = kept.read_bytes()
    monkeypatch.setattr(compiled, "object_code", lambda *_: content)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path / "file" / "cache"))
    compiled.code_for.__wrapped__(DEFAULT, form)
