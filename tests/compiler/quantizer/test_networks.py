"""Networks of other forms than classifiers, from float to the accelerator: only their edge is left on the host."""

import numpy as np
import onnx
import pytest

from weft.compiler import pipeline
from weft.compiler.quantizer import quantise_graph
from weft.isa import DEFAULT

from .networks import CHANNELS, SIZE, Builder, espcn, graph_of, images, samples_for, shuffled, unet


def on_the_accelerator(model: onnx.ModelProto, least: float) -> None:
    """Quantised with the loss of 1 / `least` dB at most, compiled, and run as the reference computes."""
    made, report = quantise_graph(graph_of(model), images(16))
    assert report.on_float == () and min(report.outputs.values()) > least
    module = pipeline.compile(graph_of(made), DEFAULT)
    assert {o.op for o in module.operators if o.where == "cpu"} == {"quantize", "dequantize"}
    outputs, ran = module.run(images(1, 5)["image"])
    assert ran.bit_exact and all(np.isfinite(y).all() for y in outputs.values())


@pytest.mark.parametrize("model", [unet, espcn, shuffled])
def test_networks(model):
    on_the_accelerator(model(), 28)


def test_operators_that_came_late():
    """Gelu is of opset 20, and Mish of 18: the model says so."""
    b = Builder(0)
    b.add("Gelu", [b.conv("image", "first", 3, CHANNELS, 3)], "a")
    b.conv("a", "second", CHANNELS, CHANNELS, 1)
    model = b.model({"image": [1, 3, SIZE, SIZE]}, {"second": [1, CHANNELS, SIZE, SIZE]}, 20)
    model.ir_version = 9
    assert quantise_graph(graph_of(model), samples_for(model, 4))[0].opset_import[0].version == 20
    on_the_accelerator(model, 28)
