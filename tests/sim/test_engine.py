"""Machine code, in each form that this CPU can run, does what the NumPy meaning does one step at a time."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tests.random_programs import random_program
from weft.isa import ALU_OPS, DEFAULT, PRESETS, Config, Instruction, Memory, Opcode, WeftError, encode, encode_micro_ops
from weft.isa.table import MAX_TAPS, layouts, micro_op_layout
from weft.runtime.device import Bases
from weft.sim.engine import Engine, compiled, decode_stream, forms
from weft.sim.functional import FunctionalDevice
from weft.sim.reference import ReferenceDevice
from weft.sim.scratchpads import Scratchpads

MEMORIES = ("uop", "inp", "wgt", "acc", "qnt", "lut")
ODD = [Config(name=f"{batch}x{block}x{block}", batch=batch, block_in=block, block_out=block, uop_buffer=1 << 10, inp_buffer=max(1 << 10, 64 * batch * block),
              wgt_buffer=32 * block * block, acc_buffer=256 * batch * block, qnt_buffer=256 * block)
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
        values = dict(memory_type=memory, sram_base=below(8), dram_base=below(9), y_size=below(4), x_size=below(5), x_stride=below(8))
        if opcode != Opcode.STORE:
            values |= {f"{axis}_pad_{side}": below(3) for axis in "xy" for side in (0, 1) if below(2)}
        return Instruction(opcode, values | ({"pad_value": below(256) - 128} if opcode == Opcode.LOAD_PAD else {}))
    begin = below(4)
    values = {"uop_bgn": begin, "uop_end": max(0, begin + below(9) - 1), "iter_out": below(5), "iter_in": below(7)}
    for name in fields:
        if "_factor_" in name:
            values[name] = min(int(rng.choice([0, 1, 1, 2, 3, 7, 40])), fields[name].bounds[1])
    if opcode == Opcode.GEMM:
        values["reset"] = int(below(8) == 0)
    elif opcode == Opcode.ALU:
        values |= {"alu_opcode": below(8), "use_imm": below(2), "imm": int(rng.choice([below(1 << 16) - (1 << 15), below(80) - 40]))}
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
    micro_ops = encode_micro_ops(*(rng.integers(0, min(d, rng.choice([1, 3, 16])), 16) for d in depth.values()), config)
    reference, dram = Scratchpads(config, sequential=True), rng.integers(0, 256, DRAM, np.uint8)
    for name in MEMORIES:
        random_bytes(rng, getattr(reference, name))
    reference.uop[:16] = micro_ops
    engines = [Engine(config, form) for form in forms(config)]
    drams = [dram.copy() for _ in engines]
    bases = Bases(**dict.fromkeys(("uop", "inp", "wgt", "acc", "out", "qnt", "lut"), 64))
    for engine, own in zip(engines, drams):
        for name in MEMORIES:
            getattr(engine.pads, name)[...] = getattr(reference, name)
        engine.begin(decode_stream(encode([instruction], config), config), own, bases)
    expected = outcome(lambda: reference.execute(0, instruction, dram, bases))
    for engine, own in zip(engines, drams):
        assert outcome(lambda: engine.execute([0])) == expected, engine.form
        assert np.array_equal(own, dram), engine.form
        for name in MEMORIES:
            assert np.array_equal(getattr(engine.pads, name), getattr(reference, name)), (name, engine.form)
        assert expected or engine.counters == reference.counters, engine.form


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
@given(seed=SEEDS)
def test_random_programs(config, seed):
    program = random_program(config, seed)
    size = program.dram_base + program.dram_before.size
    results = []
    for device in (ReferenceDevice(config, size), *(FunctionalDevice(config, size, form) for form in forms(config))):
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
