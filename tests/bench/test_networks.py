"""The networks are the published ones, and their numbers are alive: no tensor saturates, none vanishes."""

import numpy as np
import onnx
import pytest

from weft.bench import networks
from weft.compiler import graph_passes, reference
from weft.isa import DEFAULT, WeftError

MACS = {"resnet18": 1_814_073_344, "resnet50": 3_857_973_248, "mobilenet_v1": 568_740_352, "mobilenet_v2": 300_774_272}


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_macs_are_those_of_the_paper(name):
    graph = networks.load(name)
    assert sum(graph.macs(node) for node in graph.nodes) == MACS[name]
    assert graph.tensors[graph.outputs[0]].shape == (1, 1000)


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_activations_neither_saturate_nor_vanish(name):
    graph = graph_passes.run(networks.load(name, size=64), DEFAULT)
    assert {node.op for node in graph.nodes if node.where == "host"} == {"quantize", "dequantize"}
    values = reference.run_all(graph, {graph.inputs[0]: networks.images(size=64)})
    for node in graph.nodes:
        for made in (values[tensor] for tensor in node.outputs if values[tensor].dtype == np.int8):
            assert made.std() > 10 and (made == 127).mean() < 0.2, node.name
            assert len(np.unique(made)) > 50, node.name


def test_the_seed_fixes_every_byte():
    first, again, other = (networks.build("mobilenet_v2", size=32, seed=seed).SerializeToString() for seed in (1, 1, 2))
    assert first == again != other
    assert np.array_equal(networks.images(2, 32, seed=1), networks.images(2, 32, seed=1))


def test_models_are_valid_onnx_of_any_batch_and_size():
    model = networks.build("resnet50", batch=2, size=96)
    onnx.checker.check_model(model, full_check=True)
    shapes = [tuple(d.dim_value for d in value.type.tensor_type.shape.dim) for value in (*model.graph.input, *model.graph.output)]
    assert shapes == [(2, 3, 96, 96), (2, 1000)]


def test_another_name_is_refused():
    with pytest.raises(WeftError) as refused:
        networks.build("resnet19")
    assert str(refused.value) == ("network 'resnet19': a network is one of resnet18, resnet50, mobilenet_v1, mobilenet_v2, but "
                                  "found 'resnet19'; try: one of these")


def test_the_same_network_on_real_numbers():
    x = {"image": networks.images(size=32)}
    outputs = []
    for real in (False, True):
        graph = networks.load("mobilenet_v1", size=32, real=real)
        assert any(type_.quantised for type_ in graph.tensors.values()) != real
        (y,) = reference.run(graph, x).values()
        outputs.append(y)
    assert np.corrcoef(outputs[0], outputs[1])[0, 1] > 0.98
