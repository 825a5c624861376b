"""Operator by operator against ONNX Runtime and LiteRT, where they are installed: one unit apart at most, 99 % equal."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.compiler.frontends.test_tflite import classifier, convolution
from weft.compiler import frontends, graph_passes, reference
from weft.compiler.frontends import tflite
from weft.isa import DEFAULT

DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits_int8.onnx"


def test_onnx_runtime():
    runtime = pytest.importorskip("onnxruntime")
    model = onnx.load(DIGITS)
    stored = [n.output[0] for n in model.graph.node if n.op_type == "QuantizeLinear"]
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.INT8, None) for name in stored)
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = runtime.InferenceSession(model.SerializeToString(), options)
    names = [o.name for o in session.get_outputs()]
    graph = graph_passes.run(frontends.load(DIGITS), DEFAULT)
    apart = {n.name: [] for n in graph.nodes if n.where == "accel"}
    for seed in range(40):
        image = np.random.default_rng(seed).uniform(0, 1, (1, 1, 8, 8)).astype(np.float32)
        theirs = dict(zip(names, session.run(None, {"image": image}), strict=True)) | graph.constants
        for node in graph.nodes:
            if node.where == "accel":
                (ours,) = reference.evaluate(graph, node, [theirs[name] for name in node.inputs])
                apart[node.name].append(np.abs(ours.astype(int) - theirs[node.outputs[0]].reshape(ours.shape)).reshape(-1))
    for name, differences in apart.items():
        difference = np.concatenate(differences)
        assert difference.max() <= 1 and (difference == 0).mean() >= 0.99, name


@pytest.mark.parametrize("depthwise", [False, True])
def test_litert_convolution(depthwise):
    data, x, _, _ = convolution(depthwise=depthwise)
    difference = differences(data, x.shape)
    assert difference.max() <= 1 and (difference == 0).mean() >= 0.99


def test_litert_pool_and_add():
    # the averages and the sums behind them are equal, so that the classifier's end differs by softmax's tables alone
    assert differences(classifier()[0], (1, 2, 3, 4)).max() <= 1


def differences(data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    interpreter = litert.Interpreter(model_content=data,
                                     experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    interpreter.allocate_tensors()
    graph = graph_passes.run(tflite.load(data, "m"), DEFAULT)
    (output,) = graph.outputs
    apart = []
    for seed in range(40):
        image = np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
        interpreter.invoke()
        theirs = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        apart.append(np.abs(reference.run(graph, {"x": image})[output].astype(int) - theirs).reshape(-1))
    return np.concatenate(apart)
