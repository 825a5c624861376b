"""Whole networks against the runtime of their file: the same class for at least 98 of 100 inputs."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.test_models import as_it_is, cifar, lowered, normalised, speech
from tests.test_quantized_models import NETWORKS as QUANTISED
from weft.compiler import frontends, graph_passes, reference
from weft.compiler.quantizer import quantise_graph
from weft.isa import DEFAULT

from .comparing import NONE, Apart, session

pytestmark = pytest.mark.runtimes
DIGITS = Path(__file__).parents[3] / "examples" / "digits" / "digits_int8.onnx"
INPUTS, SAME_CLASS = 100, 98


def photos(size: int, of: Callable[[dict], bool], count: int = 100) -> Callable[[Path], list[np.ndarray]]:
    """uint8 [size, size, 3]: photos squeezed whole, then again with up to a tenth cut off, each second one mirrored."""

    def load(data: Path) -> list[np.ndarray]:
        pillow = pytest.importorskip("PIL.Image")
        notes = json.loads((data / "photos" / "photos.json").read_text())
        images = [pillow.open(data / "photos" / name).convert("RGB") for name, note in notes.items() if of(note)]
        rng, found = np.random.default_rng(0), []
        for index in range(count):
            image, (width, height) = images[index % len(images)], images[index % len(images)].size
            kept = rng.uniform(0.9, 1.0, 2) if index >= len(images) else (1.0, 1.0)
            left, top = ((1 - part) * whole * rng.uniform() for part, whole in zip(kept, image.size, strict=True))
            box = (left, top, left + kept[0] * width, top + kept[1] * height)
            pixels = np.asarray(image.resize((size, size), pillow.Resampling.BILINEAR, box=box))
            found.append(pixels[:, ::-1] if index // len(images) % 2 else pixels)
        return found

    return load


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
    """other_form: another form of the runtime; then only those inputs count of whose class both are certain."""

    runtime: str
    samples: Callable[[Path], list[np.ndarray]]
    prepare: Callable[[np.ndarray], np.ndarray]
    other_form: str = ""


NETWORKS = {
    "resnet8_cifar10_int8.tflite": Network("LiteRT", images(cifar), lowered),
    "resnet8large_cifar10_int8.tflite": Network("LiteRT", images(cifar), lowered),
    "resnet20_cifar10_int8_qdq.onnx": Network("ONNX Runtime", images(cifar), normalised),
    "kws_dscnn_int8.tflite": Network("LiteRT", images(speech), as_it_is),
    "vww96_mobilenetv1_025_int8.tflite": Network("LiteRT", photos(96, any_photo), lowered),
    "mobilenet_v1_0.25_128_quant.tflite": Network("LiteRT", photos(128, of_known_class), as_it_is),
    "tf2_mobilenet_v2_1.0_224_ptq.tflite": Network("LiteRT", photos(224, of_known_class), as_it_is),
    # its last blocks take one or two units of int8: ONNX Runtime's own two forms agree on 96 of 100 of these photos
    "mobilenetv2_1.0_224_imagenet_int8_qdq.onnx": Network("ONNX Runtime", photos(224, of_known_class, 150), normalised,
                                                          "ONNX Runtime, unfused"),
}


@dataclass(frozen=True)
class Agreement:
    """Of `inputs`, how many get the same class from weft and the runtime. tried: how many it took to find these."""

    inputs: int
    same: int
    tried: int


def is_certain(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two forms of a runtime choose one class, with a lead that is larger than they differ anywhere."""
    first, second = (x.reshape(-1).astype(np.float64) for x in (first, second))
    runner_up, best = np.sort(first)[-2:]
    return first.argmax() == second.argmax() and best - runner_up > np.abs(first - second).max()


def agreement(path: Path) -> Agreement:
    """On INPUTS inputs."""
    network = NETWORKS[path.name]
    graph, data = graph_passes.run(frontends.load(path), DEFAULT), path.read_bytes()
    (name,) = graph.inputs
    runtime = session(data, network.runtime)
    other = session(data, network.other_form) if network.other_form else None
    inputs = same = tried = 0
    for x in map(network.prepare, network.samples(path.parent.parent / "data")):
        theirs, tried = runtime({name: x})[0], tried + 1
        if other is not None and not is_certain(theirs, other({name: x})[0]):
            continue
        (ours,) = reference.run(graph, {name: x}).values()
        inputs, same = inputs + 1, same + int(ours.argmax() == theirs.argmax())
        if inputs == INPUTS:
            break
    return Agreement(inputs, same, tried)


@pytest.mark.models
@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_class(name, models):
    found = agreement(models / name)
    assert found.inputs == INPUTS
    assert found.same >= SAME_CLASS, found


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
