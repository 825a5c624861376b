"""Trained networks that people use: where their operators run, that devices equal the reference, and their accuracy."""

from functools import cache

import numpy as np
import pytest

import weft
from weft.runtime.executor import Executor, reference
from weft.sim.functional import FunctionalDevice

pytestmark = pytest.mark.models
IMAGENET_MEAN, IMAGENET_DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def resnet8_input(image):
    """uint8 [32, 32, 3] to the int8 NHWC that the network was quantised for."""
    return (image[None].astype(np.int16) - 128).astype(np.int8)


def resnet20_input(image):
    """uint8 [32, 32, 3] to normalised float32 NCHW."""
    return ((image / 255 - IMAGENET_MEAN) / IMAGENET_DEVIATION).transpose(2, 0, 1)[None].astype(np.float32)


# file: (preprocessing, images of 100 that it classifies right elsewhere, operators that stay on the host)
NETWORKS = {
    "resnet8_cifar10_int8.tflite": (resnet8_input, 90, {"transpose", "dequantize", "Softmax", "quantize"}),
    "resnet20_cifar10_int8_qdq.onnx": (resnet20_input, 97, {"quantize", "dequantize"}),
}


@cache
def compiled(path):
    return weft.compile(path)


@pytest.fixture(params=NETWORKS)
def network(request, models):
    with np.load(models.parent / "data" / "cifar10_png100.npz") as data:
        return compiled(models / request.param), *NETWORKS[request.param], data["x"], data["y"]


def test_the_accelerator_does_the_work(network):
    module, _, _, on_host, _, _ = network
    assert {o.op for o in module.operators if o.where == "host"} <= on_host
    assert len(module.launches) == 1


def test_accuracy_on_the_functional_device(network):
    module, prepare, right, _, images, labels = network
    executor = Executor(module, FunctionalDevice(module.config, module.memory_size))
    answers = [executor.run([prepare(image)], check=False)[0][module.outputs[0]].argmax() for image in images]
    assert abs(int((np.array(answers) == labels).sum()) - right) <= 1


def test_functional_equals_the_reference(network):
    module, prepare, _, _, images, _ = network
    executor = Executor(module, FunctionalDevice(module.config, module.memory_size))
    for image in images[:10]:
        outputs, _ = executor.run([prepare(image)], check=False)
        expected = reference(module, [prepare(image)])
        assert all(np.array_equal(outputs[name], expected[name]) for name in module.outputs)


def test_rtl_equals_the_reference(network):
    module, prepare, _, _, images, _ = network
    outputs, report = module.run(prepare(images[0]), device="rtl")
    assert report.bit_exact and report.cycles > 0
    assert sum(layer.cycles for layer in report.layers if layer.where == "accel") == report.cycles


def test_two_virtual_threads_are_faster_than_one(network, models):
    module, prepare, _, _, images, _ = network
    one = weft.compile(models / next(n for n in NETWORKS if n.startswith(module.name)), virtual_threads=1)
    outputs, report = one.run(prepare(images[0]), device="rtl")
    assert report.bit_exact
    assert module.run(prepare(images[0]), device="rtl", check=False)[1].cycles < report.cycles
