"""Concats, slices and sums that take no memory of their own: the same bytes as the naive meaning, at the places that are
said."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compiler.frontends.qdq import Qdq
from weft.compiler import graph_passes, memory, pipeline, sharing
from weft.compiler.frontends import onnx as frontend
from weft.isa import DEFAULT
from weft.runtime.layout import pack_activation
from weft.runtime.validate import validate

SCALE = (0.05, 3)


def conv(q: Qdq, x: str, channels: int, inputs: int) -> str:
    return q.op("Conv", [x, *q.weights(x, (channels, inputs, 1, 1))], SCALE)


def cut(q: Qdq, x: str, start: int, end: int) -> str:
    bounds = [q.constant(np.array([v], np.int64)) for v in (start, end, 1)]
    return q.op("Slice", [x, *bounds], SCALE)


def graph_of(q: Qdq, y: str):
    return frontend.load(q.model(y).SerializeToString(), "joined")


def dense_block(q: Qdq) -> str:
    """Each layer reads all before it, as DenseNet's do."""
    x, channels = conv(q, q.x, 32, 16), 32
    for _ in range(3):
        y = conv(q, x, 16, channels)
        x, channels = q.op("Concat", [x, y], SCALE, axis=1), channels + 16
    return conv(q, x, 16, channels)


def twice_in_one(q: Qdq) -> str:
    y = conv(q, q.x, 16, 16)
    return q.op("Concat", [y, q.x, y], SCALE, axis=1)


def in_two(q: Qdq) -> str:
    a, b = conv(q, q.x, 16, 16), conv(q, q.x, 32, 16)
    first, second = q.op("Concat", [a, b], SCALE, axis=1), q.op("Concat", [b, a], SCALE, axis=1)
    return q.op("Add", [first, second], SCALE)


def split_and_joined(q: Qdq) -> str:
    x = conv(q, q.x, 48, 16)
    first, rest = cut(q, x, 0, 16), cut(q, x, 16, 48)
    y = conv(q, rest, 16, 32)
    return q.op("Concat", [y, first, cut(q, rest, 16, 32)], SCALE, axis=1)


def sums(q: Qdq) -> str:
    """The second sum takes the place of the image, which is not read again; the first one lies in the concat."""
    a, b = conv(q, q.x, 16, 16), conv(q, q.x, 16, 16)
    total = q.op("Add", [a, b], SCALE)
    again = q.op("Add", [total, q.x], SCALE)
    return q.op("Concat", [conv(q, again, 16, 16), total], SCALE, axis=1)


def part_of_a_block(q: Qdq) -> str:
    x = conv(q, q.x, 16, 16)
    return q.op("Concat", [conv(q, x, 24, 16), x], SCALE, axis=1)


NETWORKS = {f.__name__: f for f in (dense_block, twice_in_one, in_two, split_and_joined, sums, part_of_a_block)}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_byte_is_the_references(name):
    q = Qdq((1, 16, 6, 5), scale=SCALE[0], zero_point=SCALE[1])
    module = pipeline.compile(graph_of(q, NETWORKS[name](q)), DEFAULT)
    assert {o.where for o in module.operators if o.op not in ("quantize", "dequantize")} == {"accel"}
    assert validate(module) == []


def copies(graph) -> int:
    return sum(node.op == "requantise" for node in graph.nodes)


@pytest.mark.parametrize("name, count, convolutions", [
    ("dense_block", 0, 5), ("twice_in_one", 1, 1), ("in_two", 2, 2), ("split_and_joined", 2, 2), ("sums", 0, 3),
    ("part_of_a_block", 0, 4)])
def test_what_is_copied(name, count, convolutions):
    q = Qdq((1, 16, 6, 5), scale=SCALE[0], zero_point=SCALE[1])
    graph = graph_passes.run(graph_of(q, NETWORKS[name](q)), DEFAULT)
    assert copies(graph) == count
    # the last selects, for want of whole blocks
    assert sum(node.op in ("conv2d", "conv2d_add") for node in graph.nodes) == convolutions


def test_two_images_do_not_lie_behind_one_another():
    q = Qdq((2, 16, 6, 5), scale=SCALE[0], zero_point=SCALE[1])
    graph = graph_passes.run(graph_of(q, dense_block(q)), DEFAULT)
    assert not any(node.op == "concat" for node in graph.nodes)


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.integers(1, 40), st.integers(1, 4), st.integers(1, 4))
@settings(max_examples=20)
def test_places_are_those_of_the_packed_bytes(blocks, last, height, width):
    q = Qdq((1, 16, height, width), scale=SCALE[0], zero_point=SCALE[1])
    widths = [16 * count for count in blocks] + [last]
    parts = [conv(q, q.x, channels, 16) for channels in widths]
    graph = graph_passes.run(graph_of(q, conv(q, q.op("Concat", parts, SCALE, axis=1), 16, sum(widths))), DEFAULT)
    places = sharing.shared(graph, memory.plan(graph, DEFAULT).buffers, DEFAULT)
    concat = next(node for node in graph.nodes if node.op == "concat")
    rng = np.random.default_rng(0)
    values = [rng.integers(-128, 128, graph.tensors[name].shape).astype(np.int8) for name in concat.inputs]
    whole = pack_activation(np.concatenate(values, axis=1), DEFAULT).reshape(-1)
    for name, value in zip(concat.inputs, values):
        packed = pack_activation(value, DEFAULT).reshape(-1)
        assert places[name].tensor == concat.outputs[0]
        np.testing.assert_array_equal(whole[places[name].offset:][:packed.size], packed)


@pytest.mark.parametrize("name", NETWORKS)
def test_tensors_that_live_together_overlap_only_within_one_another(name):
    q = Qdq((1, 16, 6, 5), scale=SCALE[0], zero_point=SCALE[1])
    graph = graph_passes.run(graph_of(q, NETWORKS[name](q)), DEFAULT)
    plan = memory.plan(graph, DEFAULT)
    places = sharing.shared(graph, plan.buffers, DEFAULT)
    for a, b in itertools.combinations(plan.buffers.values(), 2):
        if sharing.grounded(places, a.name).tensor != sharing.grounded(places, b.name).tensor and a.first <= b.last and b.first <= a.last:
            x, y = plan.addresses[a.name], plan.addresses[b.name]
            assert x + a.size <= y or y + b.size <= x, (a, b)


def test_a_sum_takes_the_place_of_what_is_not_read_again():
    q = Qdq((1, 16, 6, 5), scale=SCALE[0], zero_point=SCALE[1])
    graph = graph_passes.run(graph_of(q, sums(q)), DEFAULT)
    plan = memory.plan(graph, DEFAULT)
    first, second = (node for node in graph.nodes if node.op in ("conv2d_add", "add"))
    concat, at = next(node for node in graph.nodes if node.op == "concat"), plan.addresses
    assert second.inputs[:2] == [first.outputs[0], "x.q"] and at[second.outputs[0]] == at["x.q"]
    assert at[first.outputs[0]] == at[concat.outputs[0]] + plan.buffers[concat.inputs[0]].size
    assert at[first.outputs[0]] not in (at[name] for name in first.inputs)
