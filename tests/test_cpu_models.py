"""Trained networks wholly on the CPU: nothing is left to the host, the figures are theirs, int8 ones equal the integer
reference."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import weft
from tests.test_models import NETWORKS as INTEGER
from tests.test_models import Network, answer, cifar, cropped, drawing_errors, normalised, photos, ready
from weft.compiler import frontends
from weft.compiler.quantizer import Options, quantise_graph
from weft.llvm import machine
from weft.runtime.executor import Executor, reference

pytestmark = pytest.mark.models
CLOSE = 2e-5  # how far a float32 result may be from NumPy's, as a part of the largest


def digits(data: Path):
    """float32 [1, 1, 28, 28], normalised, of ten classes."""
    with np.load(data / "mnist_t10k.npz") as arrays:
        images = ((arrays["x"][:2000, None, None] / 255 - 0.1307) / 0.3081).astype(np.float32)
        return [(x, {int(label)}) for x, label in zip(images, arrays["y"][:2000], strict=True)]


def of_bytes(image):
    """uint8 [H, W, C] as float32 [1, H, W, C]."""
    return image[None].astype(np.float32)


REAL = {
    "resnet8_cifar10_fp32.tflite": Network(cifar, of_bytes, 92, set()),
    "resnet20_cifar10_fp32.onnx": Network(cifar, normalised, 97, set()),
    "mnist_cnn_fp32.onnx": Network(digits, ready, 1957, set()),
    "mobilenetv2_1.0_224_imagenet_fp32deq.onnx": Network(photos(cropped, 0), ready, 9, set()),
}
NETWORKS = INTEGER | REAL


@cache
def compiled(path: Path) -> weft.Module:
    return weft.compile(path, target="cpu", cpu="native")


@pytest.mark.parametrize("name", [*NETWORKS, "ad01_autoencoder_int8.tflite", "kwt1_speechcommands_fp32.onnx"])
def test_the_cpu_does_it_all(name, models):
    module = compiled(models / name)
    assert {o.where for o in module.operators} == {"cpu"} and len(module.functions) == 1


@pytest.mark.parametrize("name", NETWORKS)
def test_accuracy(name, models):
    network, executor = NETWORKS[name], Executor(compiled(models / name), None)
    samples = network.samples(models.parent / "data")
    answers = [answer(executor.run([network.prepare(x)], check=False)[0]) in right for x, right in samples]
    assert abs(sum(answers) - network.right) <= len(samples) / 100


@pytest.mark.parametrize("name", [*NETWORKS, "ad01_autoencoder_int8.tflite"])
def test_equal_to_the_reference(name, models):
    """Bit for bit, where there are integers only."""
    module = compiled(models / name)
    if name in NETWORKS:
        samples = NETWORKS[name].samples(models.parent / "data")[:5 if module.macs < 1e8 else 1]
        inputs = [NETWORKS[name].prepare(x) for x, _ in samples]
    else:
        inputs = [np.random.default_rng(0).integers(-128, 128, module.tensors[module.inputs[0]].shape).astype(np.int8)]
    for threads in (1, 2):
        executor = Executor(module, None, threads=threads)
        for x in inputs:
            outputs, expected = executor.run([x], check=False)[0], reference(module, [x])
            for output in module.outputs:
                if name in REAL:
                    assert np.abs(outputs[output] - expected[output]).max() <= CLOSE * np.abs(expected[output]).max()
                else:
                    assert np.array_equal(outputs[output], expected[output])


@pytest.mark.parametrize("name", ["kws_dscnn_int8.tflite", "resnet20_cifar10_int8_qdq.onnx", "mnist_cnn_fp32.onnx"])
def test_every_form_is_equal(name, models):
    network, module = NETWORKS[name], weft.compile(models / name, target="cpu")
    samples = [network.prepare(x) for x, _ in network.samples(models.parent / "data")[:3]]
    assert set(module.code) >= {form.name for form in machine.host_forms()}
    for form in machine.host_forms():
        executor = Executor(replace(module, code={form.name: module.code[form.name]}), None)
        for x in samples:
            (found,), (true,) = (outputs.values() for outputs in (executor.run([x], check=False)[0], reference(module, [x])))
            assert np.abs(found - true).max() <= CLOSE * np.abs(true).max() if name in REAL else np.array_equal(found, true)


def test_an_autoencoder_knows_a_normal_machine(models):
    executor = Executor(compiled(models / "ad01_autoencoder_int8.tflite"), None)
    normal, shuffled = drawing_errors(executor, models.parent / "data")
    assert abs(normal - 10.3) <= 0.1 and shuffled > 100


def clips(models):
    with np.load(models.parent / "data" / "kwt1_inputs.npz") as arrays:
        return arrays["mfcc"], arrays["ref_logits"]


def test_a_transformer_hears_words(models):
    executor = Executor(compiled(models / "kwt1_speechcommands_fp32.onnx"), None)
    for clip, expected in zip(*clips(models), strict=True):
        (logits,) = executor.run([clip[None]], check=False)[0].values()
        assert logits[0].argmax() == expected.argmax()
        assert np.abs(logits[0] - expected).max() <= 2e-5 * np.abs(expected).max()


def test_a_transformer_in_int8_is_exact(models):
    """Quantised here, with the ranges of three clips; its products are of computed matrices too."""
    source = frontends.load(models / "kwt1_speechcommands_fp32.onnx")
    given, expected = clips(models)
    model, _ = quantise_graph(source, {source.inputs[0]: given[1:]}, Options())
    module = weft.compile(frontends.onnx.load(model.SerializeToString(), source.name), target="cpu", cpu="native")
    assert {o.where for o in module.operators} == {"cpu"} and "product" in {o.op for o in module.operators}
    executor = Executor(module, None)
    for clip, right in zip(given, expected, strict=True):
        (logits,), (true,) = executor.run([clip[None]], check=False)[0].values(), reference(module, [clip[None]]).values()
        assert np.array_equal(logits, true)
        assert logits.argmax() == right.argmax()
