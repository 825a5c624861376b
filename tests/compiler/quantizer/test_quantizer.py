"""The whole: from files to a model and a report; what is refused; TFLite and open batches."""

import json

import numpy as np
import onnx
import pytest

from weft.compiler.quantizer import Options, quantise
from weft.isa import WeftError

from .networks import Builder, depthwise, images


@pytest.fixture
def files(tmp_path):
    model, data = tmp_path / "small.onnx", tmp_path / "data.npz"
    onnx.save(depthwise(), model)
    np.savez(data, **images(12))
    return model, data


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
    assert refusal(tmp_path / "int8.onnx", data) == ("model int8: it must be a float network, but found node 'image.quantize' (quantize), "
                                                     "already quantised; try: the float model that it was made from")
    (tmp_path / "text.onnx").write_text("no model")
    assert refusal(tmp_path / "text.onnx", data).startswith("model text: the file must be a whole and valid ONNX model, but found ")
    assert refusal(model, tmp_path / "none") == (f"data {tmp_path}/none: data must be a .npz file or a folder of .npy files, but found no such file or "
                                                 "folder; try: np.savez, with an array named as the model's input")
    assert refusal(model, {"other": np.zeros((1, 3, 8, 8))}) == ("data: there must be an array for every input, but found none for 'image'; "
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
        "model s: there must be an operator to quantise, but found none; try: a network with convolutions or matrix products of constant weights")
