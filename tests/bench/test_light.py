"""The onnx package's topologies with weights that tell one channel from another."""

import numpy as np
import pytest

from weft.bench import light
from weft.isa import WeftError


def test_channels_differ_and_the_seed_fixes_them():
    if "squeezenet" not in light.names():
        pytest.skip("this onnx package carries no such model")
    first, again, other = (light.load("squeezenet", seed) for seed in (1, 1, 2))
    weights = [name for node in first.nodes if node.op == "Conv" for name in node.inputs[1:]]
    assert len(weights) == 52 and set(weights) <= set(first.constants)
    for name in weights:
        value = first.constants[name]
        assert len(np.unique(value)) > 10 and np.array_equal(value, again.constants[name]) and not np.array_equal(value, other.constants[name])
        if value.ndim == 4:
            assert value.var() * value[0].size == pytest.approx(2, rel=0.1)


def test_a_network_that_is_not_there():
    with pytest.raises(WeftError, match="^network 'lenet': a network of the onnx package is one of .*, but found 'lenet'; "
                                        "try: one of these, or another version of onnx$"):
        light.load("lenet")
