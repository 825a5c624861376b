"""The prepared network computes what the model does, and has the form that the rest relies on."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from weft.compiler import reference
from weft.compiler.quantizer.prepare import is_product, prepare
from weft.isa import WeftError

from .networks import CHANNELS, Builder, depthwise, functions, graph_of, mixed, samples_for, tokens

NETWORKS = {"relu": depthwise(), "clip": depthwise(clip=1.0), "mixed": mixed(), "tokens": tokens(), "functions": functions()}


@pytest.mark.parametrize("model", NETWORKS.values(), ids=NETWORKS)
def test_the_same_function(model):
    original, x = graph_of(model), samples_for(model, 1)
    before = str(original)
    graph = prepare(original)
    expected = reference.run(original, x)
    assert graph.inputs == original.inputs and graph.outputs == original.outputs
    assert all(np.allclose(y, expected[name], rtol=1e-4, atol=1e-5) for name, y in reference.run(graph, x).items())
    assert str(original) == before


def test_folded_and_fused():
    graph = prepare(graph_of(depthwise(clip=1.0)))
    assert [node.op for node in graph.nodes] == ["Conv"] * 4 + ["Add", "MaxPool", "GlobalAveragePool", "Reshape", "Gemm"]
    assert all(is_product(graph, node) and len(node.inputs) == 3 for node in graph.nodes if node.op in ("Conv", "Gemm"))
    assert [node.attrs.get("maximum") for node in graph.nodes[:2]] == [1.0, None] and graph.nodes[4].attrs["minimum"] == 0


def test_a_batch_norm_without_a_product_before_it_is_a_depthwise_convolution():
    graph = prepare(graph_of(mixed()))
    assert graph.nodes[0].op == "Conv" and graph.nodes[0].attrs["group"] == 3


def test_products_of_rows_are_gemms_with_their_bias():
    graph = prepare(graph_of(tokens()))
    assert [node.op for node in graph.nodes if node.op in ("Gemm", "MatMul", "Add")] == ["Gemm", "MatMul", "MatMul", "Gemm"]
    assert all(is_product(graph, node) for node in graph.nodes if node.op == "Gemm")


def test_shared_weights_get_parted():
    model = depthwise()
    names = [node.name for node in model.graph.node]
    twin = onnx.NodeProto()
    twin.CopyFrom(model.graph.node[names.index("last.node")])
    twin.name, twin.output[0] = "twin.node", "twin"
    total = model.graph.node[names.index("sum.node")]
    total.input[1] = "twin"
    model.graph.node.insert(names.index("sum.node"), twin)
    graph = prepare(graph_of(model))
    weights = [name for node in graph.nodes if is_product(graph, node) for name in node.inputs[1:]]
    assert len(weights) == len(set(weights))


def test_weights_that_are_not_finite():
    model = depthwise()
    for tensor in model.graph.initializer:
        if tensor.name == "dw.weight":
            value = numpy_helper.to_array(tensor).copy()
            value[0, 0, 0, 0] = np.nan
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    with pytest.raises(WeftError) as error:
        prepare(graph_of(model))
    assert str(error.value) == ("constant 'dw.weight': weights must be finite, but found NaN or infinity; "
                                "try: to train or export the model again")


def test_a_single_number_cannot_be_stacked():
    b = Builder(0)
    b.conv("image", "conv", 3, CHANNELS, 3)
    b.add("ReduceMean", ["conv"], "mean", keepdims=0)
    with pytest.raises(WeftError) as error:
        prepare(graph_of(b.model({"image": [1, 3, 8, 8]}, {"mean": []})))
    assert str(error.value) == ("node 'mean.node' (ReduceMean): its output must have an axis, but found a single number; "
                                "try: to keep the reduced axes, keepdims = 1")


@pytest.mark.parametrize("dtype", [onnx.TensorProto.UINT8, onnx.TensorProto.FLOAT16])
def test_inputs_that_are_not_float32(dtype):
    b = Builder(0)
    b.add("Cast", ["image"], "real", to=onnx.TensorProto.FLOAT)
    b.conv("real", "conv", 3, CHANNELS, 3)
    model = b.model({"image": [1, 3, 8, 8]}, {"conv": [1, CHANNELS, 8, 8]})
    model.graph.input[0].type.tensor_type.elem_type = dtype
    with pytest.raises(WeftError) as error:
        prepare(graph_of(model))
    name = onnx.helper.tensor_dtype_to_np_dtype(dtype).name
    assert str(error.value) == f"input 'image': an input must be float32, but found {name}; try: to export the model with float inputs"


@pytest.mark.parametrize("shape", [(1, CHANNELS, 1, 1), (CHANNELS, 1, 1), (1,), ()])
def test_factors_and_offsets_a_channel_are_folded(shape):
    b = Builder(1)
    b.batch_norm("image", "norm", 3)
    b.add("Mul", ["norm", b.constant("three", np.float32(3))], "tripled")
    b.conv("tripled", "conv", 3, CHANNELS, 3)
    b.add("Mul", [b.constant("factor", b.rng.normal(size=shape).astype(np.float32)), "conv"], "scaled")
    b.add("Add", ["scaled", b.constant("offset", b.rng.normal(size=shape).astype(np.float32))], "moved")
    b.add("Relu", ["moved"], "y")
    model = b.model({"image": [1, 3, 8, 8]}, {"y": [1, CHANNELS, 8, 8]})
    graph, x = prepare(graph_of(model)), samples_for(model, 1)
    assert [node.op for node in graph.nodes] == ["Conv", "Conv"]
    assert np.allclose(reference.run(graph, x)["y"], reference.run(graph_of(model), x)["y"], rtol=1e-4, atol=1e-5)


def test_factors_along_other_axes_are_not():
    b = Builder(1)
    b.conv("image", "conv", 3, 8, 3)
    b.add("Mul", ["conv", b.constant("factor", b.rng.normal(size=8).astype(np.float32))], "y")  # along the last axis
    model = b.model({"image": [1, 3, 8, 8]}, {"y": [1, 8, 8, 8]})
    assert [node.op for node in prepare(graph_of(model)).nodes] == ["Conv", "Mul"]
