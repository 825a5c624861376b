"""Every trained network of WEFT_MODELS wholly on a GPU: ptxas accepts its kernels, and small ones equal the reference."""

import numpy as np
import pytest

from tests.compiler.gpu.harness import PTXAS, run
from weft.compiler import frontends, graph_passes
from weft.compiler.gpu import program, ptx
from weft.isa import DEFAULT
from weft.runtime import kernels

pytestmark = pytest.mark.models
LARGE = 96 * 96  # pixels of an input above which threads on arrays take minutes
NAMES = ("ad01_autoencoder_int8.tflite", "kws_dscnn_int8.tflite", "kwt1_speechcommands_fp32.onnx", "mnist_cnn_fp32.onnx",
         "mobilenet_v1_0.25_128_quant.tflite", "mobilenetv2_1.0_224_imagenet_fp32deq.onnx", "mobilenetv2_1.0_224_imagenet_int8_qdq.onnx",
         "resnet20_cifar10_fp32.onnx", "resnet20_cifar10_int8_qdq.onnx", "resnet8_cifar10_fp32.tflite", "resnet8_cifar10_int8.tflite",
         "resnet8large_cifar10_int8.tflite", "tf2_mobilenet_v2_1.0_224_ptq.tflite", "vww96_mobilenetv1_025_int8.tflite")


@pytest.mark.parametrize("name", NAMES)
def test_wholly_on_a_gpu(name, models):
    graph = graph_passes.run(frontends.load(models / name), DEFAULT, passes=graph_passes.for_targets(("gpu",)))
    assert {node.where for node in graph.nodes} == {"gpu"}
    (source,) = graph.inputs
    type_ = graph.tensors[source]
    if np.prod(type_.shape) > 3 * LARGE:
        text = program.build(graph, graph.nodes, graph.outputs).ptx
        for architecture in ptx.ARCHITECTURES if PTXAS else ():
            assert " bytes spill" in ptx.assemble(text, architecture, PTXAS)
        return
    rng = np.random.default_rng(0)
    x = rng.standard_normal(type_.shape).astype(np.float32) if type_.dtype == "float32" else \
        rng.integers(np.iinfo(type_.dtype).min, np.iinfo(type_.dtype).max, type_.shape, endpoint=True).astype(type_.dtype)
    values = {**graph.constants, source: x}
    for node in graph.nodes:
        values |= zip(node.outputs, kernels.run(node.op, node.attrs, *(values[given] if given else None for given in node.inputs)))
    real = any(node.op[0].isupper() for node in graph.nodes)
    for found, output in zip(run(graph, {source: x}), graph.outputs):
        expected = values[output]
        if real and expected.dtype.kind == "f":
            assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
        else:
            assert np.array_equal(found, expected)
