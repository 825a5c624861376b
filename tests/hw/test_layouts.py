"""Amaranth's layouts encode as weft.isa's."""

import pytest
from hypothesis import given, settings, strategies as st

from weft.hw.layouts import instruction_layouts, micro_op, struct_layout
from weft.isa import PRESETS, Opcode
from weft.isa.fields import Field, Layout
from weft.isa.table import layouts, micro_op_layout


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
@settings(max_examples=20)
@given(data=st.data())
def test_both_encode_equally(config, data):
    pairs = [(layouts(config)[op], instruction_layouts(config)[op]) for op in Opcode]
    pairs.append((micro_op_layout(config), micro_op(config)))
    for ours, theirs in pairs:
        values = {f.name: data.draw(st.integers(*f.bounds)) for f in ours.fields.values()}
        word = theirs.const(values).as_bits()
        assert word == ours.encode(**values) and theirs.size == ours.size
        view = theirs.from_bits(word)
        assert {name: int(getattr(view, name)) for name in values} == ours.decode(word)


def test_gaps_become_free_members():
    layout = struct_layout(Layout("gaps", 8, [Field("b", 4, 2, signed=True), Field("a", 1, 1)]))
    assert [(name, field.offset) for name, field in layout] == [("free_0", 0), ("a", 1), ("free_1", 2), ("b", 4),
                                                                ("free_2", 6)]
