"""Tiles of sums: they fit the registers, and waste little."""

import pytest
from hypothesis import given, strategies as st

from weft.compiler.cpu.tile import Tile, choose, registers
from weft.llvm.machine import FORMS

each_form = pytest.mark.parametrize("form", FORMS.values(), ids=str)


@each_form
@given(st.integers(1, 300), st.integers(1, 80), st.integers(1, 5000), st.booleans())
def test_a_tile_fits(form, positions, vectors, depth, of_bytes):
    tile = choose(form, positions, vectors, depth, of_bytes)
    assert 1 <= tile.positions <= positions and 1 <= tile.vectors <= vectors
    if tile != Tile(1, 1) and form.vector_bits >= 128:
        assert (tile.positions * tile.vectors + tile.vectors) * registers(form) <= form.vectors + registers(form)


def test_the_tiles_of_well_known_layers():
    """Rows of 7 take four vectors of channels, longer ones fewer."""
    form = FORMS["avx512vnni"]
    assert choose(form, 7, 32, 1152, True) == Tile(7, 3)
    assert choose(form, 56, 4, 144, True) == Tile(14, 2)
    assert choose(form, 1, 64, 128, True).vectors > 4
