"""Whole networks at 224x224: compiled, run on the functional device, and every byte equal to the integer reference."""

import numpy as np
import pytest

from weft.bench import light, networks
from weft.compiler import frontends, pipeline
from weft.compiler.graph import Graph
from weft.compiler.quantizer import Options, quantise_graph
from weft.isa import DEFAULT

pytestmark = pytest.mark.networks
EDGE = {"quantize", "dequantize"}
HOST = {"resnet50": EDGE | {"Softmax", "softmax"}, "densenet121": EDGE}  # all that is not on the accelerator, where it is as little
MACS = {"resnet50": 4_089_184_256, "squeezenet": 349_151_936, "shufflenet": 124_664_528, "densenet121": 2_844_711_168,
        "inception_v1": 1_431_556_352, "vgg19": 19_632_062_464}


def check(graph: Graph) -> pipeline.Module:
    """Compiles and runs: outputs equal the reference's, and tell something. What softmax reads counts too: it squashes."""
    graph.outputs += [node.inputs[0] for node in graph.nodes if node.op == "Softmax"]
    module = pipeline.compile(graph, DEFAULT)
    outputs, report = module.run(networks.images(seed=1))
    assert report.agrees  # bit for bit, but for a softmax of real numbers; what it reads is steps apart that no tolerance covers
    classes = outputs[graph.outputs[-1]]
    assert classes.size == networks.CLASSES and len(np.unique(classes)) > 20
    multiplied = [o for o in module.operators if o.macs]
    assert multiplied and {o.where for o in multiplied} == {"accel"}
    assert module.options["activation_peak"] <= 1.05 * module.options["activation_lower_bound"]
    return module


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_seeded(name):
    module = check(networks.load(name))
    assert {o.op for o in module.operators if o.where == "cpu"} == EDGE


@pytest.mark.parametrize("name", MACS)
def test_published_topologies_quantised_here(name):
    if name not in light.names():
        pytest.skip("this onnx package carries no such model")
    graph = light.load(name)
    (image,) = graph.inputs
    model, _ = quantise_graph(graph, {image: networks.images()}, Options(bias_correction=False))
    module = check(frontends.onnx.load(model.SerializeToString(), name))
    assert module.macs == MACS[name]
    if name in HOST:
        assert {o.op for o in module.operators if o.where in ("cpu", "host")} <= HOST[name]
