"""The whole: from files to a model and a report; what is refused; TFLite and open batches."""

import json

import numpy as np
import onnx
import pytest
import tflite

from examples.digits.data import load
from tests.compiler.frontends.flatbuffer import Op, T, build
from tests.conftest import ROOT
from weft.compiler import frontends, graph_passes, reference
from weft.compiler.quantizer import Options, quantise, quantise_graph
from weft.isa import Config, WeftError

from .networks import Builder, depthwise, graph_of, images


@pytest.fixture
def files(tmp_path):
    model, data = tmp_path / "small.onnx", tmp_path / "data.npz"
    onnx.save(depthwise(), model)
    np.savez(data, **images(12))
    return model, data


def test_digits_are_read_as_well_as_in_float():
    """Ranges from images of training, 359 others tested, in integers as the accelerator computes them."""
    train, _, images_, labels = load()
    source = frontends.load(ROOT / "examples" / "digits" / "digits_float.onnx")
    made, _ = quantise_graph(source, {"image": train[:300]}, Options(ranges="mse"))
    placed = graph_passes.run(graph_of(made), Config())
    right = {name: sum(int(reference.run(graph, {"image": image[None]})["logits"].argmax()) == label
                       for image, label in zip(images_, labels, strict=True))
             for name, graph in (("float", source), ("int8", placed))}
    assert right["float"] == 353 and right["int8"] >= right["float"] - len(labels) / 100


def test_float_tflite(tmp_path):
    """Depthwise convolution in TFLite's layout, SAME padding, Relu6 and a dense layer: names and shapes of the edge stay."""
    rng = np.random.default_rng(0)
    w, b = rng.normal(size=(1, 3, 3, 4)).astype(np.float32), rng.normal(size=4).astype(np.float32)
    rows = rng.normal(size=(3, 48)).astype(np.float32)
    tensors = [T("x", (1, 7, 6, 4), "float32"), T("w", w.shape, "float32", data=w), T("b", (4,), "float32", data=b),
               T("map", (1, 4, 3, 4), "float32"), T("rows", (3, 48), "float32", data=rows), T("y", (1, 3), "float32")]
    conv = {"Padding": tflite.Padding.SAME, "StrideW": 2, "StrideH": 2, "DilationWFactor": 1, "DilationHFactor": 1,
            "DepthMultiplier": 1, "FusedActivationFunction": tflite.ActivationFunctionType.RELU6}
    operators = [Op("DEPTHWISE_CONV_2D", [0, 1, 2], [3], ("DepthwiseConv2DOptions", conv)),
                 Op("FULLY_CONNECTED", [3, 4], [5], ("FullyConnectedOptions", {}))]
    path = tmp_path / "small.tflite"
    path.write_bytes(build(tensors, operators, [0], [5]))
    x = rng.normal(size=(20, 7, 6, 4)).astype(np.float32) * 3
    made, report = quantise(path, {"x": x})
    assert report.outputs["y"] > 30 and report.on_float == ()
    imported, original = graph_of(made), frontends.load(path)
    assert str(imported.tensors["x"]) == "float32[1, 7, 6, 4]" and str(imported.tensors["y"]) == "float32[1, 3]"
    placed = graph_passes.run(imported, Config())
    assert [node.op for node in placed.nodes if node.where == "accel"] == ["depthwise_conv2d", "conv2d"]
    expected, found = (np.concatenate([reference.run(graph, {"x": s[None]})["y"] for s in x])
                       for graph in (original, placed))
    assert np.square(found - expected).mean() < 1e-3 * np.square(expected).mean()


def refusal(*arguments, **options) -> str:
    with pytest.raises(WeftError) as error:
        quantise(*arguments, **options)
    return str(error.value)


@pytest.mark.parametrize("ranges", ["minmax", "percentile", "mse"])
def test_each_way_to_find_ranges(files, ranges):
    steps = []
    _, report = quantise(*files, Options(ranges, limit=10), lambda *step: steps.append(step))
    assert (report.samples, report.compared) == (10, 10) and report.outputs["logits"] > 20
    assert steps[-1][0] == steps[-1][1] and {s[2] for s in steps} >= {"minimum and maximum", "bias correction, noise"}
    found = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert [layer["op"] for layer in found["layers"]].count("Conv") == 4 and found["worst_layer"] == report.worst.name


def test_the_same_bytes_each_time(files):
    first, second = (quantise(*files)[0].SerializeToString() for _ in range(2))
    assert first == second


def test_an_open_batch_is_one(files):
    model = onnx.load(files[0])
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.save(model, files[0])
    made, _ = quantise(*files)
    assert made.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_refused(files, tmp_path):
    model, data = files
    made, _ = quantise(model, data)
    onnx.save(made, tmp_path / "int8.onnx")
    assert refusal(tmp_path / "int8.onnx", data) == ("model int8: it must be a float network, but found node "
                                                     "'image.quantize' (quantize), "
                                                     "already quantised; try: the float model that it was made from")
    (tmp_path / "text.onnx").write_text("no model")
    assert refusal(tmp_path / "text.onnx", data).startswith("model text: the file must be a whole and valid ONNX model, "
                                                            "but found ")
    assert refusal(model, tmp_path / "none") == (f"data {tmp_path}/none: data must be a .npz file or a folder of .npy "
                                                 f"files, but found no such file or "
                                                 "folder; try: np.savez, with an array named as the model's input")
    assert refusal(model, {"other": np.zeros((1, 3, 8, 8))}) == ("data: there must be an array for every input, but found "
                                                                 "none for 'image'; "
                                                                 "try: an array named as the model's input")
    huge = {"image": np.random.default_rng(0).uniform(-3e38, 3e38, (2, 3, 8, 8))}
    assert "its values on the data must be finite, but found NaN or infinity" in refusal(model, huge)
    with pytest.raises(WeftError) as error:
        Options(limit=0)
    assert str(error.value) == "samples: there must be at least one, but found 0; try: 100 or so"


def test_nothing_to_quantise(tmp_path):
    b = Builder(0)
    b.add("Sigmoid", ["image"], "y")
    onnx.save(b.model({"image": [1, 4]}, {"y": [1, 4]}), tmp_path / "s.onnx")
    assert refusal(tmp_path / "s.onnx", {"image": np.zeros((2, 4))}) == (
        "model s: there must be an operator to quantise, but found none; try: a network with convolutions or matrix "
        "products of constant weights")
