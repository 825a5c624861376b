"""The entry point."""

import pytest

from weft.compiler.graph import Graph, Node
from weft.compiler.operators import build
from weft.isa import DEFAULT, WeftError


def test_other_operators_are_refused():
    with pytest.raises(WeftError) as error:
        build(Node("s", "Softmax", ["x"], ["y"]), Graph("g"), DEFAULT)
    assert str(error.value) == ("node 's' (Softmax): the accelerator's operators are conv2d, conv2d_add, depthwise_conv2d, "
                                "dense, add, max_pool, "
                                "avg_pool, requantise, lut, mul, max, min, pieces, concat, slice, but found 'Softmax'; try: the host")
