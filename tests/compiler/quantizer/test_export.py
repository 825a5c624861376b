"""The QDQ model: valid, on the accelerator whole, and the same in ONNX Runtime."""

import numpy as np
import onnx
import pytest

from weft.compiler import graph_passes, reference
from weft.compiler.quantizer import quantise_graph
from weft.compiler.quantizer.export import clips_alike, to_onnx
from weft.compiler.quantizer.prepare import prepare
from weft.compiler.quantizer.ranges import from_range
from weft.isa import Config

from .networks import CHANNELS, SIZE, Builder, depthwise, functions, graph_of, mixed, samples_for, tokens

NETWORKS = {"relu": depthwise(), "clip": depthwise(clip=0.7), "mixed": mixed(), "tokens": tokens(), "functions": functions()}
ON_HOST = {"mixed": {"Sigmoid", "concat"}, "tokens": {"Concat", "softmax", "view", "product_bias"},
           "functions": {"Onnx", "lut", "ReduceMean", "Sigmoid"}}


@pytest.fixture(params=NETWORKS)
def network(request):
    model = NETWORKS[request.param]
    exported, _ = quantise_graph(graph_of(model), samples_for(model, 16))
    return request.param, exported


def test_everything_that_can_is_on_the_accelerator(network):
    name, exported = network
    placed = graph_passes.run(graph_of(exported), Config())
    on_host = {node.op for node in placed.nodes if node.where == "host"}
    assert on_host <= {"quantize", "dequantize"} | ON_HOST.get(name, set())
    ops = [node.op for node in placed.nodes if node.where == "accel"]
    products = sum(op in ("conv2d", "conv2d_add", "depthwise_conv2d", "dense") for op in ops)
    assert products >= sum(n.op_type in ("Conv", "Gemm") for n in exported.graph.node)


def test_weights_and_biases_as_runtimes_expect_them(network):
    name, exported = network
    onnx.checker.check_model(exported, full_check=True)
    values = {t.name: onnx.numpy_helper.to_array(t) for t in exported.graph.initializer}
    makers = {o: n for n in exported.graph.node for o in n.output}
    for node in exported.graph.node:
        if node.op_type in ("Conv", "Gemm"):
            stored, scale, zero = (values[n] for n in makers[node.input[1]].input)
            assert stored.dtype == np.int8 and scale.shape == (len(stored),) and not zero.any()
            bias, bias_scale, _ = (values[n] for n in makers[node.input[2]].input)
            source = values[makers[node.input[0]].input[1]]
            assert bias.dtype == np.int32 and np.array_equal(bias_scale, (scale * source).astype(np.float32))
    clips = [n.op_type for n in exported.graph.node if n.op_type in ("Relu", "Clip")]
    assert clips == (["Relu"] if name == "mixed" else [])  # its output shares a range that reaches below 0


def test_the_same_in_onnx_runtime(network):
    runtime = pytest.importorskip("onnxruntime")
    name, exported = network
    session = runtime.InferenceSession(exported.SerializeToString(), providers=["CPUExecutionProvider"])
    graph = graph_of(exported)
    placed = graph_passes.run(graph, Config())
    for sample in samples_for(NETWORKS[name], 8, 9)["image"]:
        feeds = {"image": sample[None]}
        ours = reference.run(placed, feeds)
        for output, theirs in zip(graph.outputs, session.run(graph.outputs, feeds), strict=True):
            step = np.ptp(theirs) / 255
            assert np.abs(ours[output] - theirs).max() <= 4 * step  # a unit a layer, some layers deep


@pytest.mark.parametrize("low, high, limits, alike", [
    (0, 5.9, (0, 6), True), (0, 6, (0, 6), True), (-1, 6, (0, 6), False), (0, 7, (0, 6), False), (0, 3, (0, np.inf), True),
])
def test_a_range_that_clips_needs_no_clip(low, high, limits, alike):
    assert clips_alike(from_range(low, high), *limits) is alike


@pytest.mark.parametrize("model", NETWORKS.values(), ids=NETWORKS)
def test_a_float_graph_is_written_as_it_is(model):
    graph, x = prepare(graph_of(model)), samples_for(model, 1)
    again = graph_of(to_onnx(graph))
    expected = reference.run(graph, x)
    assert all(np.allclose(v, expected[k], rtol=1e-5, atol=1e-6) for k, v in reference.run(again, x).items())


def test_names_of_the_network_are_kept():
    """A constant called as the export would call its own: the scale of a layer's output."""
    b = Builder(0)
    b.conv("image", "conv", 3, CHANNELS, 3)
    b.add("Max", ["conv", b.constant("conv.scale", np.full((1, CHANNELS, 1, 1), -0.3, np.float32))], "conv.real")
    model = b.model({"image": [1, 3, SIZE, SIZE]}, {"conv.real": [1, CHANNELS, SIZE, SIZE]})
    x = samples_for(model, 4)
    exported, report = quantise_graph(graph_of(model), x)
    first = {"image": x["image"][:1]}
    expected, found = (reference.run(graph_of(m), first)["conv.real"] for m in (model, exported))
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max() and report.on_float == ("conv.real.node (Max)",)


def test_attributes_that_only_weft_has_are_left_out():
    graph = graph_of(mixed())
    pool = next(node for node in graph.nodes if node.op == "AveragePool")
    pool.attrs["origin"] = 0  # as of a TFLite file
    model, _ = quantise_graph(graph, samples_for(mixed(), 4))
    (exported,) = [node for node in model.graph.node if node.op_type == "AveragePool"]
    assert {a.name for a in exported.attribute} == {"kernel_shape", "strides"}
