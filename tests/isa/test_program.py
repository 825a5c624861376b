import numpy as np
import pytest
from hypothesis import given, strategies as st

from weft.isa import DEFAULT, PRESETS, Instruction, Opcode, RawProgram, WeftError, decode, decode_micro_ops, encode, encode_micro_ops
from weft.isa.table import Memory, layouts, micro_op_layout


@st.composite
def instructions(draw, config):
    opcode = draw(st.sampled_from(list(Opcode)))
    values = {f.name: draw(st.integers(*f.bounds)) for f in layouts(config)[opcode].fields.values() if f.name not in ("opcode", "memory_type")}
    if opcode in (Opcode.LOAD, Opcode.STORE, Opcode.LOAD_PAD):
        values["memory_type"] = draw(st.sampled_from(list(Memory)))
    return Instruction(opcode, {k: int(v) for k, v in values.items() if v})


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
@given(data=st.data())
def test_round_trip(config, data):
    program = data.draw(st.lists(instructions(config), max_size=5))
    assert decode(encode(program, config), config) == program


def test_free_codes_are_refused():
    row = np.zeros((1, 16), np.uint8)
    row[0, 0] = 7
    with pytest.raises(WeftError, match=r"^instruction 0: an opcode is one of 0 \(LOAD\), .*, 6 \(DEPTHWISE\), but found 7; try: "):
        decode(row, DEFAULT)


@given(st.lists(st.tuples(st.integers(0, 2047), st.integers(0, 2047), st.integers(0, 1023)), min_size=1, max_size=9))
def test_micro_ops_round_trip(micro_ops):
    dst, src, wgt = np.array(micro_ops).T
    words = encode_micro_ops(dst, src, wgt, DEFAULT)
    assert [a.tolist() for a in decode_micro_ops(words, DEFAULT)] == [dst.tolist(), src.tolist(), wgt.tolist()]
    assert words.tolist() == [micro_op_layout(DEFAULT).encode(dst=d, src=s, wgt=w) for d, s, w in micro_ops]


def test_micro_ops_that_do_not_fit():
    with pytest.raises(WeftError, match="^micro-op.dst: a value must be from 0 to 2047, but found 2048"):
        encode_micro_ops([0, 2048], 0, 0, DEFAULT)


def test_raw_program_file(tmp_path):
    program = RawProgram("p", DEFAULT, encode([Instruction(Opcode.FINISH)], DEFAULT), 0x1000, 0x1000, np.zeros(64, np.uint8))
    program.save(tmp_path / "p.npz")
    assert [f.name for f in tmp_path.iterdir()] == ["p.npz"]
    assert RawProgram.load(tmp_path / "p.npz", DEFAULT).insns.tolist() == program.insns.tolist()
    (tmp_path / "bad.npz").write_bytes((tmp_path / "p.npz").read_bytes()[:100])
    with pytest.raises(WeftError, match="a raw program is an .npz with insns, insn_phys, dram_base and dram_before"):
        RawProgram.load(tmp_path / "bad.npz", DEFAULT)
