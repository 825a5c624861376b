"""Both networks side by side: the int8 one is what the exported model computes, and bias correction does its work."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.compiler import reference
from weft.compiler.quantizer import Options, quantise_graph
from weft.compiler.quantizer.observe import choose
from weft.compiler.quantizer.plan import make_plan
from weft.compiler.quantizer.prepare import prepare
from weft.compiler.quantizer.simulate import SideBySide, ratio

from .networks import depthwise, graph_of, images, mixed

def nothing(done, total, title):
    """No progress to show."""



def side_by_side(model, x, correct):
    graph = prepare(graph_of(model))
    plan = make_plan(graph)
    both = SideBySide(graph, plan, choose(graph, x, plan, "minmax", 99.99, nothing), correct)
    both.run(x, nothing)
    return graph, both


@settings(max_examples=8)
@given(st.integers(0, 1000))
def test_bias_correction_lowers_the_mean_error(seed):
    x = images(24, seed)
    errors = []
    for correct in (False, True):
        graph, both = side_by_side(depthwise(seed, spread=4.0), x, correct)
        errors.append(sum(layer.mean_error for layer in both.noise if layer.op in ("Conv", "Gemm")))
    assert errors[1] < errors[0]


def test_the_sums_have_no_mean_error_left():
    """Of a linear layer, as far as its int32 bias and int8 output can say: less than a tenth of an output step."""
    graph, both = side_by_side(depthwise(3), images(64), True)
    layer = next(n for n in both.noise if n.output == "last")
    power = np.sqrt(np.mean([np.square(reference.run_all(graph, {"image": s[None]})["last"]).mean() for s in images(64)["image"]]))
    assert layer.mean_error * power < layer.quantisation.scale / 10


def test_ratio():
    x = np.random.default_rng(0).normal(size=10000)
    assert ratio(x, x) is None
    assert ratio(x, x * 1.1) == pytest.approx(20, abs=1e-6) and ratio(x, x * 1.01) == pytest.approx(40, abs=1e-6)
    assert ratio(np.zeros(2), np.ones(2)) < -300


@pytest.mark.parametrize("model", [depthwise(5), depthwise(5, clip=0.7), mixed(5)], ids=["relu", "clip", "mixed"])
def test_the_exported_model_computes_the_same(model):
    """In weft's reference, up to one step in a few values: float32 sums here, exact ones there."""
    x = images(8)
    exported, report = quantise_graph(graph_of(model), x)
    imported, float_graph = graph_of(exported), prepare(graph_of(model))
    noise = {name: [] for name in imported.outputs}
    for sample in x["image"]:
        outputs, expected = (reference.run(graph, {"image": sample[None]}) for graph in (imported, float_graph))
        for name in noise:
            noise[name].append((expected[name], outputs[name]))
    for name, parts in noise.items():
        found = ratio(*(np.concatenate(each) for each in zip(*parts, strict=True)))
        assert found == pytest.approx(report.outputs[name], abs=0.5) and found > 20


def test_a_layer_alone_is_not_worse_than_the_network():
    _, report = quantise_graph(graph_of(depthwise(2)), images(16), Options())
    assert {layer.output for layer in report.layers} == {"side", "a", "dw.relu", "last", "sum.relu", "pool", "mean", "flat",
                                                         "logits"}
    assert all(layer.alone >= layer.snr - 1.5 for layer in report.layers)
    assert report.worst is min(report.layers, key=lambda layer: layer.alone)
