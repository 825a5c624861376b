"""Equalisation leaves the float function as it is, and brings channels nearer to each other."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from weft.compiler import reference
from weft.compiler.quantizer import Options, quantise_graph
from weft.compiler.quantizer.equalise import equalise, pairs
from weft.compiler.quantizer.observe import extremes
from weft.compiler.quantizer.prepare import prepare

from .networks import depthwise, graph_of, images

def nothing(done, total, title):
    """No progress to show."""



def seen(graph, x):
    return extremes(graph, x, {first.outputs[0] for first, _ in pairs(graph)}, nothing)


@given(st.integers(0, 1000), st.sampled_from([None, 0.5, 2.0]), st.floats(0, 8))
def test_the_float_function_is_unchanged(seed, clip, spread):
    graph, x = prepare(graph_of(depthwise(seed, clip, spread))), images(4, seed)
    changed = graph.copy()
    equalise(changed, seen(changed, x))
    for sample in x["image"]:
        before, after = (reference.run(g, {"image": sample[None]})["logits"] for g in (graph, changed))
        assert np.allclose(before, after, rtol=1e-5, atol=1e-6)


def test_only_pairs_that_nobody_else_reads():
    graph = prepare(graph_of(depthwise()))
    assert [(a.outputs[0], b.outputs[0]) for a, b in pairs(graph)] == [("a", "dw.relu"), ("dw.relu", "last")]


def test_channels_come_nearer_and_noise_falls():
    graph, x = prepare(graph_of(depthwise(spread=8.0))), images(32)
    changed = graph.copy()
    assert equalise(changed, seen(changed, x)) == 2
    spread = [np.ptp(np.log2(seen(g, x)["a"].channels)) for g in (graph, changed)]
    assert spread[0] > 6 and spread[1] < 3
    reports = [quantise_graph(graph_of(depthwise(spread=8.0)), x, Options(equalise=e))[1] for e in (False, True)]
    assert reports[1].equalised == 2
    snr = [next(layer.snr for layer in r.layers if layer.output == "dw.relu") for r in reports]
    assert snr[1] > snr[0] + 1


def test_a_clip_that_saturates_keeps_its_channels():
    graph, x = prepare(graph_of(depthwise(clip=0.01))), images(8)
    weights = graph.constants[graph.nodes[0].inputs[1]]
    equalise(graph, seen(graph, x))
    assert np.array_equal(graph.constants[graph.nodes[0].inputs[1]], weights)
