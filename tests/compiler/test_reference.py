"""The integer reference on trained networks, and what it says to wrong inputs."""

import numpy as np
import pytest

from weft.compiler import frontends, graph_passes, reference
from weft.compiler.graph import Graph, TensorType
from weft.isa import DEFAULT, WeftError

MEAN, DEVIATION = np.float32([0.4914, 0.4822, 0.4465]), np.float32([0.2023, 0.1994, 0.2010])


def test_refuses_wrong_inputs():
    g = Graph("g", inputs=["x"], outputs=["x"], tensors={"x": TensorType((1, 3), "float32")})
    with pytest.raises(WeftError) as caught:
        reference.run(g, {"y": np.zeros(3)})
    assert str(caught.value) == ("input 'x': every input of the network must be given, but found only ['y']; "
                                 "try: an array float32[1, 3]")
    with pytest.raises(WeftError) as caught:
        reference.run(g, {"x": np.zeros((3, 1), np.int8)})
    assert str(caught.value) == ("input 'x': its shape and dtype must be float32[1, 3], but found int8[3, 1]; "
                                 "try: to reshape or cast the array")


def cifar(models):
    data = np.load(models.parent / "data" / "cifar10_png100.npz")
    return data["x"], data["y"]


def correct(graph, images, labels) -> int:
    (x,), (y,) = graph.inputs, graph.outputs
    return sum(int(reference.run(graph, {x: image[None]})[y].argmax() == label)
               for image, label in zip(images, labels, strict=True))


@pytest.mark.models
def test_resnet8(models):
    graph = graph_passes.run(frontends.load(models / "resnet8_cifar10_int8.tflite"), DEFAULT)
    assert [n.op for n in graph.nodes if n.where == "host"] == ["softmax"]
    assert sum(n.op in ("conv2d", "conv2d_add") and n.where == "accel" for n in graph.nodes) == 9
    images, labels = cifar(models)
    assert abs(correct(graph, (images.astype(np.int16) - 128).astype(np.int8), labels) - 90) <= 1


@pytest.mark.models
def test_resnet20(models):
    graph = graph_passes.run(frontends.load(models / "resnet20_cifar10_int8_qdq.onnx"), DEFAULT)
    assert [n.op for n in graph.nodes if n.where == "host"] == ["quantize", "dequantize"]
    assert sum(n.op in ("conv2d", "conv2d_add") for n in graph.nodes) == 19 + 2  # two for the shortcuts
    assert sum(map(graph.macs, graph.nodes)) == 40_550_400 + 640
    images, labels = cifar(models)
    images = ((images.astype(np.float32) / 255 - MEAN) / DEVIATION).transpose(0, 3, 1, 2)
    assert abs(correct(graph, np.ascontiguousarray(images), labels) - 97) <= 1


@pytest.mark.models
@pytest.mark.parametrize("name, shape", [
    ("kws_dscnn_int8.tflite", None), ("ad01_autoencoder_int8.tflite", None), ("vww96_mobilenetv1_025_int8.tflite", None),
    ("tf2_mobilenet_v2_1.0_224_ptq.tflite", None), ("mobilenet_v1_0.25_128_quant.tflite", None),
    ("resnet8large_cifar10_int8.tflite", None), ("mobilenetv2_1.0_224_imagenet_int8_qdq.onnx", (1, 3, 224, 224)),
    ("mnist_cnn_fp32.onnx", None), ("resnet20_cifar10_fp32.onnx", None), ("kwt1_speechcommands_fp32.onnx", None)])
def test_other_networks_are_imported_and_placed(models, name, shape):
    graph = frontends.load(models / name, {"input": shape} if shape else None)
    placed = graph_passes.run(graph, DEFAULT)
    assert all(n.reason for n in placed.nodes if n.where == "host")
    assert [placed.tensors[t].shape for t in placed.outputs] == [graph.tensors[t].shape for t in graph.outputs]
    lost = [n.op for n in placed.nodes if n.op in ("conv2d", "conv2d_add") and n.where == "host"]
    assert not lost
