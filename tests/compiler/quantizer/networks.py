"""Small float networks with seeded weights, of every form that quantisation treats on its own."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from weft.compiler.frontends import onnx as frontend
from weft.compiler.graph import Graph

CHANNELS, SIZE, CLASSES = 8, 8, 5


class Builder:
    """Adds nodes and constants; `model` closes it."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def add(self, op: str, inputs: list[str], name: str, **attrs) -> str:
        self.nodes.append(helper.make_node(op, inputs, [name], f"{name}.node", **attrs))
        return name

    def conv(self, source: str, name: str, channels: int, outputs: int, kernel: int, group: int = 1,
             bias: bool = True) -> str:
        weight = self.rng.normal(size=(outputs, channels // group, kernel, kernel))
        weight /= np.sqrt(channels // group * kernel ** 2)
        names = [source, self.constant(f"{name}.weight", weight.astype(np.float32))]
        if bias:
            names.append(self.constant(f"{name}.bias", self.rng.normal(size=outputs).astype(np.float32) / 4))
        return self.add("Conv", names, name, kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4, group=group)

    def batch_norm(self, source: str, name: str, channels: int) -> str:
        values = {"gain": self.rng.uniform(0.5, 2, channels), "offset": self.rng.normal(size=channels) / 4,
                  "mean": self.rng.normal(size=channels) / 4, "variance": self.rng.uniform(0.5, 2, channels)}
        names = [self.constant(f"{name}.{k}", v.astype(np.float32)) for k, v in values.items()]
        return self.add("BatchNormalization", [source, *names], name)

    def clip(self, source: str, name: str, low: float, high: float) -> str:
        names = [self.constant(f"{name}.{k}", np.float32(v)) for k, v in (("low", low), ("high", high))]
        return self.add("Clip", [source, *names], name)

    def model(self, inputs: dict[str, list[int]], outputs: dict[str, list[int]], opset: int = 13) -> onnx.ModelProto:
        values = [[helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in each.items()]
                  for each in (inputs, outputs)]
        model = helper.make_model(helper.make_graph(self.nodes, "small", *values, self.constants),
                                  opset_imports=[helper.make_opsetid("", opset)])
        model.ir_version = 8
        onnx.checker.check_model(model, full_check=True)
        return model


def depthwise(seed: int = 0, clip: float | None = None, spread: float = 0.0) -> onnx.ModelProto:
    """conv 3x3, relu or clip, depthwise 3x3, relu, conv 1x1, the sum with a shortcut, max pool, average, dense.

    spread: channels of the first convolution differ by up to 2**spread.
    """
    b = Builder(seed)
    b.conv("image", "first", 3, CHANNELS, 3, bias=False)
    b.batch_norm("first", "norm", CHANNELS)
    for tensor in b.constants:
        if spread and tensor.name in ("norm.gain", "norm.offset"):
            value = numpy_helper.to_array(tensor) * np.exp2(-np.linspace(0, spread, CHANNELS)).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    a = b.add("Relu", ["norm"], "a") if clip is None else b.clip("norm", "a", 0.0, clip)
    b.conv(a, "dw", CHANNELS, CHANNELS, 3, group=CHANNELS)
    b.add("Relu", ["dw"], "dw.relu")
    b.conv("dw.relu", "last", CHANNELS, CHANNELS, 1)
    b.conv("image", "side", 3, CHANNELS, 1)
    b.add("Add", ["last", "side"], "sum")
    b.add("Relu", ["sum"], "sum.relu")
    b.add("MaxPool", ["sum.relu"], "pool", kernel_shape=[2, 2], strides=[2, 2])
    b.add("GlobalAveragePool", ["pool"], "mean")
    b.add("Flatten", ["mean"], "flat")
    weight = b.constant("dense.weight", b.rng.normal(size=(CHANNELS, CLASSES)).astype(np.float32))
    bias = b.constant("dense.bias", b.rng.normal(size=CLASSES).astype(np.float32))
    b.add("Gemm", ["flat", weight, bias], "logits", alpha=0.5, beta=2.0)
    return b.model({"image": [1, 3, SIZE, SIZE]}, {"logits": [1, CLASSES]})


def mixed(seed: int = 0) -> onnx.ModelProto:
    """What is left on real numbers, or moves: a batch norm at the front, slice, pad, concat, sigmoid, two outputs."""
    b = Builder(seed)
    b.batch_norm("image", "norm", 3)
    b.conv("norm", "conv", 3, CHANNELS, 3)
    b.add("Relu", ["conv"], "a")
    cut = {"starts": [0, 0], "ends": [SIZE, SIZE], "axes": [2, 3], "steps": [2, 2]}
    names = [b.constant(name, np.array(value, np.int64)) for name, value in cut.items()]
    b.add("Slice", ["a", *names], "slice")
    b.add("Pad", ["slice", b.constant("pads", np.array([0, 2, 0, 0, 0, 2, 0, 0], np.int64))], "pad")
    b.conv("pad", "second", CHANNELS + 4, CHANNELS, 3)
    b.add("Sigmoid", ["second"], "gate")
    b.add("Concat", ["second", "slice"], "both", axis=1)
    b.add("AveragePool", ["both"], "mean", kernel_shape=[2, 2], strides=[2, 2])
    b.conv("mean", "third", 2 * CHANNELS, CLASSES, 1)
    half = SIZE // 2
    outputs = {"gate": [1, CHANNELS, half, half], "third": [1, CLASSES, half // 2, half // 2]}
    return b.model({"image": [1, 3, SIZE, SIZE]}, outputs)


def functions(seed: int = 0) -> onnx.ModelProto:
    """A leaky Relu between convolutions, a split with two outputs, a Sigmoid at the end; and an operator of opset 18."""
    b = Builder(seed)
    b.conv("image", "conv", 3, CHANNELS, 3)
    b.add("LeakyRelu", ["conv"], "leaky", alpha=0.1)
    b.nodes.append(helper.make_node("Split", ["leaky"], ["left", "right"], "split", axis=1, num_outputs=2))
    b.conv("left", "a", CHANNELS // 2, CHANNELS, 1)
    b.conv("right", "b", CHANNELS // 2, CHANNELS, 3)
    b.add("Add", ["a", "b"], "sum")
    b.add("ReduceMean", ["sum", b.constant("axes", np.array([1], np.int64))], "mean")
    b.add("Sigmoid", ["mean"], "y")
    return b.model({"image": [1, 3, SIZE, SIZE]}, {"y": [1, 1, SIZE, SIZE]}, 18)


def tokens(seed: int = 0) -> onnx.ModelProto:
    """Rows of features: products of constants with and without a bias, attention's product of two tensors, a constant
    row."""
    b = Builder(seed)

    def weight(name: str, *shape: int) -> str:
        return b.constant(name, b.rng.normal(size=shape).astype(np.float32) / 3)

    b.add("MatMul", ["image", weight("w1", SIZE, CHANNELS)], "first")
    b.add("Add", [weight("b1", CHANNELS), "first"], "biased")
    b.add("Transpose", ["biased"], "turned", perm=[0, 2, 1])
    b.add("MatMul", ["biased", "turned"], "scores")
    b.add("Softmax", ["scores"], "shares", axis=-1)
    b.add("MatMul", ["shares", "biased"], "mixed")
    b.add("Concat", [weight("row", 1, 1, CHANNELS), "mixed"], "rows", axis=1)
    b.add("MatMul", ["rows", weight("w2", CHANNELS, CLASSES)], "logits")
    return b.model({"image": [1, 3, SIZE]}, {"logits": [1, 4, CLASSES]})


def up(b: Builder, source: str, name: str, channels: int, outputs: int, group: int = 1, **attrs) -> str:
    """A transposed convolution of kernel 2 and stride 2."""
    value = b.rng.normal(size=(channels, outputs // group, 2, 2)) / np.sqrt(channels // group)
    weight = b.constant(f"{name}.weight", value.astype(np.float32))
    return b.add("ConvTranspose", [source, weight], name, kernel_shape=[2, 2],
                 strides=[2, 2], group=group, **attrs)


def unet(seed: int = 0) -> onnx.ModelProto:
    """Down, and up by a transposed convolution with a batch norm, by one a channel and bilinear resizing; skips are
    joined."""
    b = Builder(seed)
    b.add("Relu", [b.conv("image", "first", 3, CHANNELS, 3)], "top")
    b.add("MaxPool", ["top"], "half", kernel_shape=[2, 2], strides=[2, 2])
    b.add("PRelu", [b.conv("half", "second", CHANNELS, 2 * CHANNELS, 3), slopes(b, 2 * CHANNELS)], "middle")
    b.add("MaxPool", ["middle"], "quarter", kernel_shape=[2, 2], strides=[2, 2])
    b.nodes.append(helper.make_node("Dropout", ["quarter"], ["kept", "mask"], "drop"))
    b.add("LeakyRelu", [b.conv("kept", "third", 2 * CHANNELS, 2 * CHANNELS, 3)], "bottom", alpha=0.2)
    b.add("Relu", [b.batch_norm(up(b, "bottom", "up", 2 * CHANNELS, CHANNELS), "norm", CHANNELS)], "risen")
    b.add("Concat", ["risen", "middle"], "joined", axis=1)
    b.add("Relu", [b.conv("joined", "fourth", 3 * CHANNELS, CHANNELS, 3)], "inner")
    b.add("Resize", ["inner", "", b.constant("scales", np.float32([1, 1, 2, 2]))], "wide", mode="linear")
    up(b, "inner", "each", CHANNELS, CHANNELS, group=CHANNELS)
    b.add("Concat", ["wide", "each", "top"], "all", axis=1)
    b.conv("all", "mask.logits", 3 * CHANNELS, 2, 1)
    return b.model({"image": [1, 3, SIZE, SIZE]}, {"mask.logits": [1, 2, SIZE, SIZE]})


def slopes(b: Builder, channels: int) -> str:
    """Of a PRelu: one a channel, of either sign and 0."""
    values = np.linspace(-0.5, 0.5, channels | 1)[:channels].reshape(-1, 1, 1).astype(np.float32)
    return b.constant(f"slopes{len(b.constants)}", values)


def espcn(seed: int = 0) -> onnx.ModelProto:
    """Convolutions on small maps and a shuffle of their channels to space; a residual by nearest neighbours."""
    b = Builder(seed)
    b.add("Tanh", [b.conv("image", "first", 3, 2 * CHANNELS, 5)], "a")
    b.add("PRelu", [b.conv("a", "second", 2 * CHANNELS, CHANNELS, 3), slopes(b, CHANNELS)], "b")
    b.add("DepthToSpace", [b.conv("b", "third", CHANNELS, 12, 3)], "shuffled", blocksize=2, mode="CRD")
    b.add("Resize", ["image", "", b.constant("scales", np.float32([1, 1, 2, 2]))], "large", mode="nearest",
          coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    b.add("Add", ["shuffled", "large"], "y")
    return b.model({"image": [1, 3, SIZE, SIZE]}, {"y": [1, 3, 2 * SIZE, 2 * SIZE]})


def shuffled(seed: int = 0) -> onnx.ModelProto:
    """A split, a shuffle of channels, a gate of one value a channel, the larger of two maps, blocks that become channels."""
    b = Builder(seed)
    b.add("Relu", [b.conv("image", "first", 3, 2 * CHANNELS, 3)], "a")
    b.nodes.append(helper.make_node("Split", ["a"], ["left", "right"], "split", axis=1))
    b.conv("right", "side", CHANNELS, CHANNELS, 3, group=CHANNELS)
    b.add("Concat", ["left", "side"], "both", axis=1)
    for name, value in (("apart", [1, 2, CHANNELS, SIZE, SIZE]), ("whole", [1, 2 * CHANNELS, SIZE, SIZE])):
        b.constant(f"{name}.shape", np.array(value, np.int64))
    b.add("Reshape", ["both", "apart.shape"], "apart")
    b.add("Transpose", ["apart"], "turned", perm=[0, 2, 1, 3, 4])
    b.add("Reshape", ["turned", "whole.shape"], "whole")
    b.conv("whole", "second", 2 * CHANNELS, CHANNELS, 1)
    b.add("HardSigmoid", [b.conv(b.add("GlobalAveragePool", ["second"], "mean"), "fc", CHANNELS, CHANNELS, 1)], "gate")
    b.add("Mul", ["second", "gate"], "gated")
    b.add("Elu", [b.conv("whole", "third", 2 * CHANNELS, CHANNELS, 1)], "other")
    b.add("Max", ["gated", "other"], "larger")
    b.add("SpaceToDepth", ["larger"], "blocks", blocksize=2)
    b.conv("blocks", "y", 4 * CHANNELS, CLASSES, 1)
    return b.model({"image": [1, 3, SIZE, SIZE]}, {"y": [1, CLASSES, SIZE // 2, SIZE // 2]})


def graph_of(model: onnx.ModelProto) -> Graph:
    return frontend.load(model.SerializeToString(), "small")


def samples_for(model: onnx.ModelProto, count: int, seed: int = 1) -> dict[str, np.ndarray]:
    """Standard normal float32 for each input."""
    rng = np.random.default_rng(seed)
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in model.graph.input}
    return {name: rng.normal(size=(count, *shape[1:])).astype(np.float32) for name, shape in shapes.items()}


def images(count: int, seed: int = 1) -> dict[str, np.ndarray]:
    """For `depthwise` and `mixed`."""
    return {"image": np.random.default_rng(seed).normal(size=(count, 3, SIZE, SIZE)).astype(np.float32)}
