"""Small quantised networks with each operator of ONNX that the accelerator has: on the CPU they are whole and exact too."""

import numpy as np
import pytest

import weft
from tests.compiler.frontends.qdq import Qdq
from tests.compiler.graph_passes.test_passes import NETWORKS
from weft.compiler.frontends import onnx as frontend


@pytest.mark.parametrize("name", NETWORKS)
def test_every_byte_is_the_reference_s(name):
    q = Qdq((1, 5, 8, 9))
    output = NETWORKS[name](q)
    module = weft.compile(frontend.load(q.model(output).SerializeToString(), name), target="cpu", cpu="native")
    assert {o.where for o in module.operators} == {"cpu"}
    (x,) = module.inputs
    _, report = module.run(np.random.default_rng(0).standard_normal(module.tensors[x].shape).astype(np.float32))
    assert report.bit_exact
