"""Whole networks against the runtime of their file: the same class for at least 98 of 100 inputs."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest

import weft
from tests.test_models import as_it_is, cifar, lowered, normalised, speech
from tests.test_quantized_models import NETWORKS as QUANTISED
from weft.compiler import frontends, graph_passes, reference
from weft.compiler.quantizer import quantise_graph
from weft.isa import DEFAULT
from weft.runtime.device import open_device
from weft.runtime.executor import Executor

from .comparing import NONE, Apart, session

pytestmark = pytest.mark.runtimes
DIGITS = Path(__file__).parents[3] / "examples" / "digits" / "digits_int8.onnx"
INPUTS, SAME_CLASS = 100, 98


def photos(size: int, of: Callable[[dict], bool]) -> Callable[[Path], list[np.ndarray]]:
    """INPUTS images uint8 [size, size, 3]: photos squeezed whole, then again with up to a tenth cut off, each second one mirrored."""

    def box(rng: np.random.Generator, width: int, height: int, again: bool) -> tuple[float, ...]:
        kept = rng.uniform(0.9, 1.0, 2) if again else (1.0, 1.0)
        left, top = ((1 - part) * whole * rng.uniform() for part, whole in zip(kept, (width, height), strict=True))
        return (left, top, left + kept[0] * width, top + kept[1] * height)

    return partial(_variants, size, of, box)


def crops(size: int, of: Callable[[dict], bool]) -> Callable[[Path], list[np.ndarray]]:
    """INPUTS images uint8 [size, size, 3]: the middle of photos whose shorter side is 8/7 of `size`, then again with the middle up to a
    fourteenth away, each second one mirrored. As the authors of ImageNet's networks prepare photos."""

    def box(rng: np.random.Generator, width: int, height: int, again: bool) -> tuple[float, ...]:
        kept = min(width, height) * 7 / 8
        aside = rng.uniform(-1, 1, 2) * kept / 14 if again else (0.0, 0.0)
        left, top = (min(max((whole - kept) / 2 + off, 0), whole - kept) for whole, off in zip((width, height), aside, strict=True))
        return (left, top, left + kept, top + kept)

    return partial(_variants, size, of, box)


def _variants(size: int, of: Callable[[dict], bool], box: Callable, data: Path) -> list[np.ndarray]:
    pillow = pytest.importorskip("PIL.Image")
    notes = json.loads((data / "photos" / "photos.json").read_text())
    images = [pillow.open(data / "photos" / name).convert("RGB") for name, note in notes.items() if of(note)]
    rng, found = np.random.default_rng(0), []
    for index in range(INPUTS):
        image = images[index % len(images)]
        part = box(rng, *image.size, index >= len(images))
        pixels = np.asarray(image.resize((size, size), pillow.Resampling.BILINEAR, box=part))
        found.append(pixels[:, ::-1] if index // len(images) % 2 else pixels)
    return found


def of_known_class(note: dict) -> bool:
    """Others show what is none of ImageNet's classes: rounding alone decides what a network takes them for."""
    return bool(note["imagenet_ok"])


def any_photo(note: dict) -> bool:
    return True


def images(load) -> Callable[[Path], list[np.ndarray]]:
    """The first INPUTS of samples with their classes, without these."""
    return lambda data: [x for x, _ in load(data)[:INPUTS]]


@dataclass(frozen=True)
class Network:
    """What runs the file elsewhere, and what to show both."""

    runtime: str
    samples: Callable[[Path], list[np.ndarray]]
    prepare: Callable[[np.ndarray], np.ndarray]


NETWORKS = {
    "resnet8_cifar10_int8.tflite": Network("LiteRT", images(cifar), lowered),
    "resnet8large_cifar10_int8.tflite": Network("LiteRT", images(cifar), lowered),
    "resnet20_cifar10_int8_qdq.onnx": Network("ONNX Runtime", images(cifar), normalised),
    "kws_dscnn_int8.tflite": Network("LiteRT", images(speech), as_it_is),
    "vww96_mobilenetv1_025_int8.tflite": Network("LiteRT", photos(96, any_photo), lowered),
    "mobilenet_v1_0.25_128_quant.tflite": Network("LiteRT", photos(128, of_known_class), as_it_is),
    "tf2_mobilenet_v2_1.0_224_ptq.tflite": Network("LiteRT", photos(224, of_known_class), as_it_is),
    "mobilenetv2_1.0_224_imagenet_int8_qdq.onnx": Network("ONNX Runtime", crops(224, of_known_class), normalised),
}


def agreement(path: Path) -> tuple[int, int]:
    """(inputs, how many of them get the same class). Weft's answers are the functional device's, which equal the integer reference."""
    network, module = NETWORKS[path.name], weft.compile(path)
    runtime, inputs = session(path.read_bytes(), network.runtime), network.samples(path.parent.parent / "data")
    device = open_device("functional", module.config, module.memory_size)
    executor, same = Executor(module, device), 0
    for x in map(network.prepare, inputs):
        (ours,) = executor.run([x], check=False)[0].values()
        same += int(ours.argmax() == runtime({module.inputs[0]: x})[0].argmax())
    device.close()
    return len(inputs), same


@pytest.mark.models
@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_class(name, models):
    inputs, same = agreement(models / name)
    print(f"{name}: the same class for {same} of {inputs}")
    assert inputs == INPUTS and same >= SAME_CLASS


def calibrated(file: Path) -> tuple[bytes, list[np.ndarray]]:
    """A float network quantised here, and INPUTS to judge it by."""
    load, options, _, _ = QUANTISED[file.name]
    folds = load(file.parent.parent / "data")
    source = frontends.load(file)
    model, _ = quantise_graph(source, {source.inputs[0]: folds[0].calibration}, options)
    return model.SerializeToString(), [x[None] for fold in folds for x in fold.tested][:INPUTS]


@pytest.mark.models
@pytest.mark.parametrize("name", QUANTISED)
def test_onnx_runtime_runs_what_is_quantised_here(name, models):
    """The file is standard QDQ: a runtime that knows nothing of weft gives the same answers."""
    data, inputs = calibrated(models / name)
    graph = graph_passes.run(frontends.onnx.load(data, name), DEFAULT)
    (source,), runtime = graph.inputs, session(data, "ONNX Runtime")
    same = sum(
        int(next(iter(reference.run(graph, {source: x}).values())).argmax()) == int(runtime({source: x})[0].argmax())
        for x in inputs
    )
    assert same >= len(inputs) * SAME_CLASS / INPUTS, f"{same} of {len(inputs)}"


def test_every_layer_of_digits():
    """Each layer from the values that ONNX Runtime gives it."""
    model = onnx.load(DIGITS)
    stored = [n.output[0] for n in model.graph.node if n.op_type == "QuantizeLinear"]
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.INT8, None) for name in stored)
    graph, runtime = graph_passes.run(frontends.load(DIGITS), DEFAULT), session(
        model.SerializeToString(), "ONNX Runtime, unfused"
    )
    layers = {node.name: NONE for node in graph.nodes if node.where == "accel"}
    for seed in range(40):
        image = np.random.default_rng(seed).uniform(0, 1, (1, 1, 8, 8)).astype(np.float32)
        theirs = dict(zip([o.name for o in model.graph.output], runtime({"image": image}), strict=True)) | graph.constants
        for node in (n for n in graph.nodes if n.where == "accel"):
            (ours,) = reference.evaluate(graph, node, [theirs[name] for name in node.inputs])
            apart = np.abs(ours.reshape(-1).astype(int) - theirs[node.outputs[0]].reshape(-1))
            layers[node.name] += Apart(apart.size, int((apart > 0).sum()), int(apart.max()))
    for name, apart in layers.items():
        assert apart.most <= 1 and apart.equal >= 0.99, name
