"""The schedule of products on tensor cores."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.gpu.harness import built
from tests.compiler.gpu.operators.test_products import CASES, convolution
from weft.compiler.gpu import products


@given(st.integers(1, 4000), st.integers(1, 600))
def test_a_tile_keeps_the_gpu_busy_or_is_the_smallest(rows, columns):
    tile = products.choose(rows, columns)
    assert tile.blocks(rows, columns) >= products.BLOCKS or tile in (products.TILES[-1], products.Tile(1, 1, 4), products.Tile(1, 1, 8)) \
        and all(other.blocks(rows, columns) < products.BLOCKS for other in products.TILES if other.columns <= tile.columns)


def test_two_barriers_and_two_tiles_in_shared_memory():
    graph, _ = convolution(np.random.default_rng(0), *CASES["1x1"])
    (step,) = (step for step in built(graph).steps if "mma" in str(step.program))
    text = str(step.program)
    assert text.count("barrier") == 2 and text.count(" in shared") == 2 and step.sizes.block[:2] == (4, 8)
