"""Trained networks that people use: where their operators run, that devices equal the reference, and their accuracy."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest

import weft
from weft.runtime.device import open_device
from weft.runtime.executor import Executor, reference

pytestmark = pytest.mark.models
IMAGENET_MEAN, IMAGENET_DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
Sample = tuple[np.ndarray, set[int]]  # what the network is given, and which answers are right


def cifar(data: Path) -> list[Sample]:
    """uint8 [32, 32, 3] of ten classes."""
    with np.load(data / "cifar10_png100.npz") as arrays:
        return [(image, {int(label)}) for image, label in zip(arrays["x"], arrays["y"], strict=True)]


def speech(data: Path) -> list[Sample]:
    """int8 [49, 10, 1] of twelve classes."""
    with np.load(data / "kws01_1000.npz") as arrays:
        return [(x, {int(label)}) for x, label in zip(arrays["x"], arrays["y"], strict=True)]


@cache
def photo(path: Path, size: int) -> np.ndarray:
    """uint8 [size, size, 3]: the whole photo, squeezed."""
    image = pytest.importorskip("PIL.Image")
    return np.asarray(image.open(path).convert("RGB").resize((size, size), image.Resampling.BILINEAR))


@cache
def cropped(path: Path) -> np.ndarray:
    """float32 [1, 3, 224, 224], normalised: the middle of the photo with its shorter side at 256, as the networks' authors have it."""
    opener = pytest.importorskip("PIL.Image")
    image = opener.open(path).convert("RGB")
    scale = 256 / min(image.size)
    image = image.resize([round(n * scale) for n in image.size], opener.Resampling.BILINEAR)
    left, top = (image.size[0] - 224) // 2, (image.size[1] - 224) // 2
    return normalised(np.asarray(image.crop((left, top, left + 224, top + 224))))


def photos(read: Callable[[Path], np.ndarray], first: int):
    """Photos whose ImageNet class is known; the network's answers begin at `first` with them."""
    def load(data: Path) -> list[Sample]:
        notes = json.loads((data / "photos" / "photos.json").read_text())
        return [(read(data / "photos" / name), {label + first for label in note["imagenet_ok"]})
                for name, note in notes.items() if note["imagenet_ok"]]
    return load


def people(data: Path) -> list[Sample]:
    """Photos [96, 96, 3] with a person (1) or without."""
    notes = json.loads((data / "photos" / "photos.json").read_text())
    return [(photo(data / "photos" / name, 96), {note["person"]}) for name, note in notes.items()]


def lowered(image):
    """uint8 to the int8 of zero point -128."""
    return (image[None].astype(np.int16) - 128).astype(np.int8)


def normalised(image):
    """uint8 [H, W, 3] to normalised float32 NCHW."""
    return ((image / 255 - IMAGENET_MEAN) / IMAGENET_DEVIATION).transpose(2, 0, 1)[None].astype(np.float32)


def as_it_is(image):
    return image[None]


def ready(image):
    return image


@dataclass(frozen=True)
class Network:
    """What is known of a network: `right` of `samples` elsewhere, which operators the host has, whether it runs on RTL here, and
    whether also with one virtual thread."""

    samples: Callable[[Path], list[Sample]]
    prepare: Callable[[np.ndarray], np.ndarray]
    right: int
    on_host: set[str]
    on_rtl: bool = False
    with_one_thread: bool = False


NETWORKS = {
    "resnet8_cifar10_int8.tflite": Network(cifar, lowered, 90, {"softmax"}, True, True),
    "resnet8large_cifar10_int8.tflite": Network(cifar, lowered, 99, {"softmax"}),
    "resnet20_cifar10_int8_qdq.onnx": Network(cifar, normalised, 97, {"quantize", "dequantize"}, True, True),
    "kws_dscnn_int8.tflite": Network(speech, as_it_is, 902, {"softmax"}, True),
    "vww96_mobilenetv1_025_int8.tflite": Network(people, lowered, 16, {"softmax"}, True),
    "mobilenet_v1_0.25_128_quant.tflite": Network(photos(partial(photo, size=128), 1), as_it_is, 6, {"softmax"}),
    "tf2_mobilenet_v2_1.0_224_ptq.tflite": Network(photos(partial(photo, size=224), 1), as_it_is, 9, {"softmax"}),
    "mobilenetv2_1.0_224_imagenet_int8_qdq.onnx": Network(photos(cropped, 0), ready, 9, {"quantize", "dequantize"}, True),
}
ON_RTL = [name for name, network in NETWORKS.items() if network.on_rtl]


@cache
def compiled(path: Path, **options) -> weft.Module:
    return weft.compile(path, **options)


def on_functional(module: weft.Module) -> Executor:
    return Executor(module, open_device("functional", module.config, module.memory_size))


def answer(outputs: dict[str, np.ndarray]) -> int:
    (output,) = outputs.values()
    return int(output.argmax())


@pytest.mark.parametrize("name", NETWORKS)
def test_the_accelerator_does_the_work(name, models):
    module = compiled(models / name)
    assert {o.op for o in module.operators if o.where == "host"} <= NETWORKS[name].on_host
    assert len(module.launches) == 1


@pytest.mark.parametrize("name", NETWORKS)
def test_accuracy_on_the_functional_device(name, models):
    module, network = compiled(models / name), NETWORKS[name]
    executor = on_functional(module)
    samples = network.samples(models.parent / "data")
    answers = [answer(executor.run([network.prepare(x)], check=False)[0]) in right for x, right in samples]
    assert abs(sum(answers) - network.right) <= len(samples) / 100


@pytest.mark.parametrize("name", NETWORKS)
def test_functional_equals_the_reference(name, models):
    module, network = compiled(models / name), NETWORKS[name]
    executor = on_functional(module)
    for x, _ in network.samples(models.parent / "data")[:10 if module.macs < 1e8 else 1]:
        outputs, _ = executor.run([network.prepare(x)], check=False)
        expected = reference(module, [network.prepare(x)])
        assert all(np.array_equal(outputs[name], expected[name]) for name in module.outputs)


def drawing_errors(executor: Executor, data: Path) -> tuple[float, float]:
    """Mean squared errors of what an autoencoder draws of windows of five of a machine's 200 spectra, and of the same shuffled."""
    module = executor.module
    source, target = (module.tensors[name] for name in (module.inputs[0], module.outputs[0]))
    spectra = np.fromfile(data / "ad01_normal_id_01_00000000.bin", "<f4").reshape(200, 128)
    windows = np.stack([spectra[k:k + 5].reshape(-1) for k in range(196)])

    def error(rows):
        stored = np.clip(np.rint(rows / source.scale) + source.zero_point, -128, 127).astype(np.int8)
        drawn = np.concatenate([executor.run([x[None]], check=False)[0][module.outputs[0]] for x in stored]).astype(np.float64)
        return ((rows - (drawn - target.zero_point) * target.scale) ** 2).mean()

    return error(windows), error(windows[:, np.random.default_rng(0).permutation(640)])


def test_an_autoencoder_knows_a_normal_machine(models):
    """It draws spectra as they are, and shuffled ones not."""
    module = compiled(models / "ad01_autoencoder_int8.tflite")
    assert {o.where for o in module.operators} == {"accel"} and len(module.launches) == 1
    normal, shuffled = drawing_errors(on_functional(module), models.parent / "data")
    assert abs(normal - 10.3) <= 0.1 and shuffled > 100


@pytest.mark.parametrize("name", ON_RTL)
def test_rtl_equals_the_reference(name, models):
    module, network = compiled(models / name), NETWORKS[name]
    x, _ = network.samples(models.parent / "data")[0]
    outputs, report = module.run(network.prepare(x), device="rtl")
    assert report.bit_exact and report.cycles > 0
    assert sum(layer.cycles for layer in report.layers if layer.where == "accel") == report.cycles


def test_an_autoencoder_on_both_devices(models):
    module = compiled(models / "ad01_autoencoder_int8.tflite")
    x = np.random.default_rng(2).integers(-128, 128, module.tensors[module.inputs[0]].shape).astype(np.int8)
    for device in ("functional", "rtl"):
        assert module.run(x, device=device)[1].bit_exact


@pytest.mark.parametrize("name", [name for name in ON_RTL if NETWORKS[name].with_one_thread])
def test_two_virtual_threads_are_faster_than_one(name, models):
    network = NETWORKS[name]
    x, _ = network.samples(models.parent / "data")[0]
    cycles = {}
    for threads in (1, 2):
        _, report = compiled(models / name, virtual_threads=threads).run(network.prepare(x), device="rtl")
        assert report.bit_exact
        cycles[threads] = report.cycles
    assert cycles[2] < cycles[1]
