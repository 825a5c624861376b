"""Depthwise convolutions as machine code against what NumPy makes of them: exact for int8, close for float32."""

import numpy as np
import pytest

from tests.compiler.cpu.harness import FORMS, meaning, run
from tests.compiler.cpu.operators.test_conv import convolution, exact, images, lanes, real
from weft.isa.quantise import HALF_AWAY

each_form = pytest.mark.parametrize("form", FORMS, ids=str)
KINDS = {
    "3x3": dict(ci=32, w=17), "stride 2": dict(ci=16, h=9, w=20, strides=(2, 2)),
    "5x5": dict(ci=24, kernel=(5, 5), pads=(2,) * 4, w=9),
    "7x7": dict(ci=16, kernel=(7, 7), pads=(3,) * 4), "few channels": dict(ci=3), "odd channels": dict(ci=21),
    "many rows": dict(ci=16, h=18),
    "batch": dict(n=3, ci=16), "parts": dict(parts=2, ci=16), "table": dict(table=True, ci=16),
    "a column out": dict(ci=16, pads=(0, -1, 2, 0)),
}


@each_form
@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_int8(form, kind):
    shape = KINDS[kind]
    rng = np.random.default_rng(5)
    graph, inputs = convolution(rng, **shape, co=shape["ci"], groups=shape["ci"], op="depthwise_conv2d",
                                parameters=lanes(rng, shape["ci"], shift=(20, 23)))
    exact(graph, inputs, form)


@each_form
def test_other_roundings_and_parameters_of_channels(form):
    rng = np.random.default_rng(5)
    graph, inputs = convolution(rng, ci=20, co=20, groups=20, op="depthwise_conv2d",
                                parameters=lanes(rng, 20, HALF_AWAY, (20, 23), False))
    exact(graph, inputs, form)


@each_form
@pytest.mark.parametrize("shape", [dict(ci=16), dict(ci=35, strides=(2, 2), w=12),
                                   dict(ci=8, kernel=(9, 9), pads=(4,) * 4, dilations=(1, 2), w=20),
                                   dict(ci=3, minimum=0.0, maximum=6.0)], ids=str)
def test_float32(form, shape):
    attrs = dict(pads=(1, 1, 1, 1)) | shape
    graph, inputs = real(np.random.default_rng(2), co=shape["ci"], group=shape["ci"], **attrs)
    (y,), (expected,) = run(graph, inputs, images(graph), form, 2, {"x": 0}), meaning(graph, inputs)
    assert np.abs(y - expected).max() <= 1e-5 * max(1, np.abs(expected).max())
