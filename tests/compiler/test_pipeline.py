"""The compiler's stages tell how far they are."""

from tests.random_networks import random_network
from weft.compiler import pipeline
from weft.isa import DEFAULT


def test_progress_tells_each_operator_and_the_check_in_order():
    graph, told, built = random_network(1), [], []
    pipeline.build(graph, DEFAULT, progress=lambda *step: told.append(step),
                   after=lambda name, program: built.append((name, len(told))))
    count = len(graph.nodes)
    assert told == [*((k, count + 1, node.name) for k, node in enumerate(graph.nodes)), (count, count + 1, "static check"),
                    (count + 1, count + 1, "")]
    # the loop passes are part of the step
    assert [at for name, at in built if name == "storage"] == list(range(1, count + 1))
