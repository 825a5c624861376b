"""Many samples at once give what each gives alone."""

import numpy as np
import pytest

from weft.compiler import reference
from weft.compiler.quantizer import evaluate
from weft.compiler.quantizer.prepare import prepare

from .networks import depthwise, functions, graph_of, mixed, samples_for, tokens


@pytest.mark.parametrize("model", [depthwise(), mixed(), tokens(), functions()],
                         ids=["depthwise", "mixed", "tokens", "functions"])
@pytest.mark.parametrize("elements", [1 << 24, 1], ids=["together", "one by one"])
def test_stacked_samples(model, elements, monkeypatch):
    monkeypatch.setattr(evaluate, "ELEMENTS", elements)
    graph, x = prepare(graph_of(model)), samples_for(model, 7)
    seen = {}
    for part in evaluate.batches(graph, x):
        evaluate.walk(graph, part, lambda name, array: seen.setdefault(name, []).append(array.copy()))
    for i, sample in enumerate(x["image"]):
        alone = reference.run_all(graph, {"image": sample[None]})
        for name, parts in seen.items():
            stacked = np.concatenate(parts)
            rows = len(alone[name])
            assert np.allclose(stacked[i * rows:(i + 1) * rows], alone[name], rtol=1e-4, atol=1e-5), name
    assert set(seen) == {*graph.inputs, *(name for node in graph.nodes for name in node.outputs)}
