"""Published topologies that the onnx package carries, with made-up weights and old opsets: all of them import."""

from pathlib import Path

import onnx
import pytest

from weft.compiler import frontends, graph_passes, pipeline
from weft.isa import DEFAULT

LIGHT = sorted((Path(onnx.__file__).parent / "backend" / "test" / "data" / "light").glob("*.onnx"))
MACS = {"light_resnet50": 4_089_184_256, "light_squeezenet": 349_151_936, "light_vgg19": 19_632_062_464}


@pytest.mark.parametrize("path", LIGHT or [None], ids=lambda path: path.stem if path else "none")
def test_import(path):
    if path is None:
        pytest.skip("this onnx package carries no models")
    placed = pipeline.place(path, DEFAULT)
    assert {o.where for o in placed.operators} <= {"cpu", "host"}
    assert all(o.reason for o in placed.operators)
    assert any(o.op == "Conv" and o.reason == "it is not quantised: `weft quantize` first" for o in placed.operators)
    assert placed.macs == MACS.get(path.stem, placed.macs) > 1e8


def test_the_output_of_an_old_model_has_its_shape():
    path = next((p for p in LIGHT if p.stem == "light_squeezenet"), None)
    if path is None:
        pytest.skip("this onnx package carries no models")
    graph = graph_passes.run(frontends.load(path), DEFAULT)
    (output,) = graph.outputs
    assert graph.tensors[output].shape == (1, 1000, 1, 1)
