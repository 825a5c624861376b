"""What a GPU has a kernel for is placed there; alone, or beside the accelerator."""

from tests.conftest import ROOT
from weft.compiler import frontends, graph_passes
from weft.isa import DEFAULT

DIGITS = ROOT / "examples" / "digits" / "digits_int8.onnx"


def places(*targets: str) -> dict[str, str]:
    graph = graph_passes.run(frontends.load(DIGITS), DEFAULT, passes=graph_passes.for_targets(targets))
    return {node.op: node.where for node in graph.nodes}


def test_alone_it_takes_all():
    assert set(places("gpu").values()) == {"gpu"}


def test_beside_the_accelerator_it_takes_what_that_leaves():
    found = places("accel", "gpu")
    assert found["conv2d"] == "accel" and found["quantize"] == "gpu" and "host" not in found.values()
