"""The digits example: its gradients, its models and what the integer reference makes of them."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from examples.digits import network
from examples.digits.data import load
from examples.digits.export import float_model, int8_model
from weft.compiler import frontends, graph_passes, reference
from weft.isa import DEFAULT

HERE = Path(network.__file__).parent


@pytest.fixture(scope="module")
def digits():
    pytest.importorskip("sklearn")
    return load()


def test_data(digits):
    train_x, train_y, test_x, test_y = digits
    assert train_x.shape == (1438, 1, 8, 8) and test_x.shape == (359, 1, 8, 8)
    assert train_x.dtype == np.float32 and (train_x.min(), train_x.max()) == (0, 1)
    assert train_y.shape == (1438,) and set(test_y) == set(range(10))


def test_gradients_are_those_of_small_differences():
    rng = np.random.default_rng(0)
    parameters = {k: v.astype(np.float64) for k, v in network.initial(rng).items()}
    x, weights = rng.standard_normal((2, 1, 8, 8)), rng.standard_normal((2, 10))
    grads = network.backward(parameters, network.forward(parameters, x), weights)

    def loss():
        return (network.forward(parameters, x)["logits"] * weights).sum()

    for name, values in parameters.items():
        for at in rng.integers(0, values.size, 3):
            value, small = values.flat[at], 1e-5
            values.flat[at] = value + small
            above = loss()
            values.flat[at] = value - small
            slope = (above - loss()) / (2 * small)
            values.flat[at] = value
            assert grads[name].flat[at] == pytest.approx(slope, rel=1e-3, abs=1e-5), name


def test_the_committed_int8_model_runs_on_the_accelerator_and_is_right(digits):
    _, _, test_x, test_y = digits
    graph = graph_passes.run(frontends.load(HERE / "digits_int8.onnx"), DEFAULT)
    assert [n.op for n in graph.nodes if n.where == "host"] == ["quantize", "dequantize"]
    assert {n.op for n in graph.nodes if n.where == "accel"} == {"conv2d", "add", "max_pool", "avg_pool", "dense"}
    logits = np.concatenate([reference.run(graph, {"image": x[None]})["logits"] for x in test_x])
    assert (logits.argmax(1) == test_y).mean() > 0.96


def test_the_int8_model_is_what_the_float_model_exports(digits):
    train_x = digits[0]
    parameters = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(HERE / "digits_float.onnx").graph.initializer}
    assert float_model(parameters).SerializeToString() == (HERE / "digits_float.onnx").read_bytes()
    again, committed = int8_model(parameters, train_x), onnx.load(HERE / "digits_int8.onnx")
    assert [n.SerializeToString() for n in again.graph.node] == [n.SerializeToString() for n in committed.graph.node]
    for a, b in zip(again.graph.initializer, committed.graph.initializer, strict=True):
        x, y = onnx.numpy_helper.to_array(a), onnx.numpy_helper.to_array(b)
        np.testing.assert_allclose(x.astype(np.float64), y, rtol=1e-5, atol=0 if x.dtype == np.float32 else 1)
