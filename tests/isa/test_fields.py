import doctest

import pytest
from hypothesis import given, strategies as st

from weft.isa import WeftError, fields
from weft.isa.fields import Field, Layout

LAYOUT = Layout("word", 16, [Field("low", 0, 4), Field("gap", 6, 5, signed=True), Field("top", 15, 1)])


def test_docstring():
    assert doctest.testmod(fields).failed == 0


@given(st.integers(0, 15), st.integers(-16, 15), st.integers(0, 1))
def test_round_trip(low, gap, top):
    values = {"low": low, "gap": gap, "top": top}
    assert LAYOUT.decode(LAYOUT.encode(**values)) == values


def test_values_that_do_not_fit():
    with pytest.raises(WeftError, match="^word.low: a value must be from 0 to 15, but found 16; try: smaller tiles, "
                                        "or a config whose buffers are deeper$"):
        LAYOUT.encode(low=16)
    with pytest.raises(WeftError, match="^word: a field is one of low, gap, top, but found 'nope'; try: one of these names$"):
        LAYOUT.encode(nope=1)


def test_overlap_is_an_error_of_the_table():
    with pytest.raises(AssertionError, match="word.b overlaps another field or is empty"):
        Layout("word", 8, [Field("a", 0, 4), Field("b", 3, 2)])
