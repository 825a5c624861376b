"""Convolutions by Winograd's tiles against what NumPy makes of them, and where they are made so."""

import numpy as np
import pytest

from tests.compiler.cpu.harness import meaning, run
from tests.compiler.cpu.operators.test_conv import images, real
from weft.compiler.cpu.contraction import Contraction
from weft.compiler.cpu.kernel import channels_last
from weft.compiler.cpu.winograd import packed, pays
from weft.llvm.machine import FORMS, host_forms

WIDE = [form for form in host_forms() if form.vector_bits >= 256]


def contraction(ci=32, co=32, h=14, w=14, dtype="float32", border=(1, 1, 1, 1), **more) -> Contraction:
    given = dict(kernel=(3, 3), pads=(1, 1)) | more
    return Contraction(channels_last(dtype, (1, ci, h, w), border), channels_last(dtype, (1, co, h, w)), **given)


@pytest.mark.parametrize("form", WIDE, ids=str)
@pytest.mark.parametrize("shape", [dict(ci=32, co=32, h=14, w=14), dict(ci=48, co=40, h=20, w=12, n=2),
                                   dict(ci=32, co=112, h=2, w=100),
                                   dict(ci=64, co=64, h=28, w=28, maximum=100.0),
                                   dict(ci=32, co=32, h=16, w=16, pads=(0, 1, 2, 1))], ids=str)
def test_results(form, shape):
    graph, inputs = real(np.random.default_rng(4), **(dict(pads=(1, 1, 1, 1), minimum=0.0) | shape))
    c = contraction(*(shape[k] for k in ("ci", "co", "h", "w")))
    assert pays(c, form)
    (y,), (expected,) = run(graph, inputs, images(graph), form, 3, {"x": 0}), meaning(graph, inputs)
    assert np.abs(y - expected).max() <= 1e-5 * np.abs(expected).max()


def test_weights_are_transformed_exactly_where_float32_can():
    """A kernel that is 4 at one place: G g G' has the products of G's columns, whose fractions are halves."""
    w = np.zeros((32, 32, 3, 3), np.float32)
    w[17, 5, 0, 1] = 4
    points = packed(w, contraction())
    assert points.shape == (2, 4, 4, 32, 16) and np.count_nonzero(points) == 6
    assert points[1, :, :, 5, 1].tolist() == [[0, 2, -2, 0], [0, 1, -1, 0], [0, 1, -1, 0], [0, 0, 0, 0]]


def test_where_it_pays():
    form = FORMS["avx512vnni"]
    assert pays(contraction(), form) and not pays(contraction(), FORMS["plain"])
    for other in (dict(h=13), dict(w=13), dict(ci=40), dict(co=16), dict(h=6, w=6), dict(ci=512, co=512),
                  dict(dtype="uint8"),
                  dict(kernel=(3, 1)), dict(dilations=(2, 2)), dict(groups=2, ci=64, co=64)):
        assert not pays(contraction(**other), form), other
