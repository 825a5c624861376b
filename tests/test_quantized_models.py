"""Trained float networks, quantised here: as right as in float to within a hundredth, and on the accelerator whole.

No network is calibrated on what it is tested on. CIFAR-10 has 100 images here: each half is tested with the ranges of the other.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.test_models import cropped, normalised
from weft.compiler import frontends, graph_passes, pipeline, reference
from weft.compiler.graph import Graph
from weft.compiler.quantizer import Options, quantise_graph
from weft.compiler.quantizer.evaluate import batches, walk
from weft.compiler.quantizer.prepare import prepare
from weft.isa import Config

pytestmark = pytest.mark.models


@dataclass(frozen=True)
class Fold:
    """Arrays [samples, ...]; right: the classes that count as right for each of the tested."""

    calibration: np.ndarray
    tested: np.ndarray
    right: list[set[int]]


def digits(data: Path) -> list[Fold]:
    """The last of the 10000 digits give the ranges, the first 2000 are tested."""
    with np.load(data / "mnist_t10k.npz") as arrays:
        images = ((arrays["x"][:, None] / 255 - 0.1307) / 0.3081).astype(np.float32)
        return [Fold(images[-200:], images[:2000], [{int(y)} for y in arrays["y"][:2000]])]


def cifar(form: Callable[[np.ndarray], np.ndarray]):
    def load(data: Path) -> list[Fold]:
        with np.load(data / "cifar10_png100.npz") as arrays:
            images = np.concatenate([form(image) for image in arrays["x"]])
            right = [{int(y)} for y in arrays["y"]]
        return [Fold(images[50:], images[:50], right[:50]), Fold(images[:50], images[50:], right[50:])]
    return load


def as_float(image: np.ndarray) -> np.ndarray:
    return image[None].astype(np.float32)


def photos(data: Path) -> list[Fold]:
    """Photos of no certain class give the ranges, those of a known class are tested."""
    notes = json.loads((data / "photos" / "photos.json").read_text())
    known = [name for name, note in notes.items() if note["imagenet_ok"]]

    def read(names):
        return np.concatenate([cropped(data / "photos" / name) for name in names])

    others = [name for name in notes if name not in known]
    return [Fold(read(others), read(known), [set(notes[name]["imagenet_ok"]) for name in known])]


# file: (data, options, right answers in float elsewhere, operators that stay on the host)
EDGE = {"quantize", "dequantize"}
NETWORKS = {
    "mnist_cnn_fp32.onnx": (digits, Options("mse"), 1957, EDGE),
    "resnet20_cifar10_fp32.onnx": (cifar(normalised), Options(), 97, EDGE),
    "resnet8_cifar10_fp32.tflite": (cifar(as_float), Options(), 92, EDGE | {"Softmax"}),
    "mobilenetv2_1.0_224_imagenet_fp32deq.onnx": (photos, Options(equalise=True), 9, EDGE),
}


def count_right(answers: np.ndarray, fold: Fold) -> int:
    return sum(int(answer.argmax()) in right for answer, right in zip(answers, fold.right, strict=True))


def in_float(graph: Graph, images: np.ndarray) -> np.ndarray:
    found = []
    for part in batches(graph, {graph.inputs[0]: images}):
        walk(graph, part, lambda name, array: found.append(array) if name == graph.outputs[0] else None)
    return np.concatenate(found)


@pytest.mark.parametrize("file", NETWORKS)
def test_as_right_as_in_float(file, models):
    load, options, expected, on_host = NETWORKS[file]
    source = frontends.load(models / file)
    name, output = source.inputs[0], source.outputs[0]
    total = float_right = int8_right = 0
    for fold in load(models.parent / "data"):
        float_right += count_right(in_float(prepare(source), fold.tested), fold)
        model, report = quantise_graph(source, {name: fold.calibration}, options)
        placed = graph_passes.run(frontends.onnx.load(model.SerializeToString(), source.name), Config())
        assert {node.op for node in placed.nodes if node.where == "host"} <= on_host
        assert report.outputs[output] > 12
        answers = [reference.run(placed, {name: image[None]})[output] for image in fold.tested]
        int8_right += count_right(np.concatenate(answers), fold)
        total += len(fold.tested)
        outputs, run = pipeline.build(placed, Config()).run(fold.tested[:1], device="functional")
        assert run.bit_exact and np.array_equal(outputs[output], answers[0])
    assert float_right == expected
    assert int8_right >= float_right - total / 100


def test_a_transformer_with_its_matrix_products_on_the_accelerator(models):
    """Four clips of speech, each by a network whose ranges are those of the other three."""
    source = frontends.load(models / "kwt1_speechcommands_fp32.onnx")
    with np.load(models.parent / "data" / "kwt1_inputs.npz") as arrays:
        clips, expected = arrays["mfcc"], arrays["ref_logits"]
    errors = []
    for k in range(len(clips)):
        others = np.delete(clips, k, 0)
        model, _ = quantise_graph(source, {source.inputs[0]: others}, Options())
        placed = graph_passes.run(frontends.onnx.load(model.SerializeToString(), source.name), Config())
        logits = reference.run(placed, {source.inputs[0]: clips[k:k + 1]})[source.outputs[0]][0]
        assert logits.argmax() == expected[k].argmax()
        errors.append(np.abs(logits - expected[k]).max() / np.ptp(expected[k]))
    assert np.median(errors) < 0.1 and max(errors) < 0.5  # what other clips never reach is cut off
    products = [node for node in placed.nodes if placed.macs(node)]
    assert len(products) == 98 and {node.where for node in products} == {"accel"}
    assert sum(map(placed.macs, products)) == 73_698_560
    assert "MatMul" not in {node.op for node in placed.nodes}
    module = pipeline.build(placed, Config())
    for device in ("functional", "rtl"):
        outputs, report = module.run(clips[-1:], device=device)
        assert report.bit_exact and np.array_equal(outputs[source.outputs[0]][0], logits)
