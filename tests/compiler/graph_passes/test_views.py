"""What moves values at the accelerator's edge costs no host operator, and changes no byte of a result."""

import numpy as np
import pytest

from weft.compiler import graph_passes, pipeline, reference
from weft.compiler.graph import Graph, Node, TensorType
from weft.isa import DEFAULT
from weft.isa.quantise import pack_lanes, requantise, unpack_lanes
from weft.runtime import executor

INT8 = {"dtype": "int8", "scale": 0.1, "zero_point": 3}
UINT8 = {"dtype": "uint8", "scale": 0.1, "zero_point": 131}


class Small:
    """A graph node by node; `accel` is a requantise, of any shape of 2 or 4 axes."""

    def __init__(self, shape, **type_):
        self.graph = Graph("small", inputs=["x"], tensors={"x": TensorType(shape, **type_ or INT8)})

    def add(self, op, name, source, shape, attrs=None, more=(), **type_):
        self.graph.tensors[name] = TensorType(shape, **type_ or INT8)
        self.graph.nodes.append(Node(name, op, [source, *more], [name], attrs or {}))
        return name

    def accel(self, name, source):
        type_ = self.graph.tensors[source]
        lanes = self.graph.add_constant(f"{name}.qnt", pack_lanes(np.arange(type_.shape[1]), 3 << 15, 17, 5, -120, 120, 1))
        return self.add("requantise", name, source, type_.shape, {}, (lanes,))

    def transpose(self, name, source, perm, **type_):
        shape = self.graph.tensors[source].shape
        return self.add("transpose", name, source, tuple(shape[p] for p in perm), {"perm": perm}, **type_)

    def reshape(self, name, source, shape):
        return self.add("reshape", name, source, shape, {"shape": shape})

    def placed(self, *outputs):
        self.graph.outputs = list(outputs)
        return graph_passes.run(self.graph, DEFAULT,
                                passes=[p for p in graph_passes.PASSES if p.name in ("place", "views", "order")])


def views(graph):
    return {n.outputs[0]: (n.inputs[0], n.reason) for n in graph.nodes if n.where == "view"}


def on_host(graph):
    return [n.op for n in graph.nodes if n.where == "host"]


def runs_right(graph, launches=1):
    """On the functional device as the graph before the passes says, byte for byte."""
    module = pipeline.build(graph, DEFAULT)
    assert len(module.launches) == launches
    info = module.tensors["x"]
    low = 0 if info.dtype == "uint8" else -128
    x = np.random.default_rng(5).integers(low, low + 256, info.shape).astype(info.dtype)
    outputs, report = module.run(x)
    assert report.bit_exact
    return x, outputs, module


def test_an_image_of_bytes_is_packed_as_it_is():
    s = Small((1, 4, 5, 3), **UINT8)
    s.add("uint8_to_int8", "stored", "x", (1, 4, 5, 3))
    s.transpose("nchw", "stored", (0, 3, 1, 2))
    s.accel("y", "nchw")
    placed = s.placed("y")
    assert views(placed) == {"nchw": ("x", "folded into packing")} and on_host(placed) == []
    x, outputs, module = runs_right(placed)
    assert module.tensors["x"].shape == (1, 4, 5, 3) and module.tensors["x"].dtype == "uint8"
    real = (x.astype(int) - 128).transpose(0, 3, 1, 2)
    lanes = module.constants["y.qnt"]
    assert np.array_equal(outputs["y"], reference_requantise(real, lanes))


def reference_requantise(x, lanes):
    return requantise(x, **{k: v.reshape(-1, 1, 1) for k, v in unpack_lanes(lanes).items()})


def test_outputs_are_unpacked_in_their_own_order_and_dtype():
    s = Small((1, 3, 4, 5))
    s.accel("y", "x")
    s.transpose("nhwc", "y", (0, 2, 3, 1))
    s.add("int8_to_uint8", "bytes", "nhwc", (1, 4, 5, 3), **UINT8)
    s.reshape("flat", "y", (1, 60))
    placed = s.placed("bytes", "flat", "y")
    assert views(placed) == {"bytes": ("y", "folded into unpacking"), "flat": ("y", "folded into unpacking")}
    assert on_host(placed) == []
    _, outputs, _ = runs_right(placed)
    assert outputs["bytes"].dtype == np.uint8 and outputs["bytes"].shape == (1, 4, 5, 3)
    assert np.array_equal(outputs["bytes"].astype(int) - 128, outputs["y"].transpose(0, 2, 3, 1))
    assert np.array_equal(outputs["flat"], outputs["y"].reshape(1, 60)) and outputs["flat"].flags.c_contiguous


@pytest.mark.parametrize("before, after", [((2, 20, 1, 1), (2, 20)), ((1, 20, 3, 4), (1, 20, 12, 1))])
def test_the_same_bytes_have_one_place(before, after):
    s = Small(before)
    s.accel("a", "x")
    s.reshape("b", "a", after)
    s.accel("c", "b")
    placed = s.placed("c")
    assert views(placed) == {"b": ("a", "the same bytes")} and on_host(placed) == []
    _, _, module = runs_right(placed)
    assert module.addresses["a"] == module.addresses["b"] != module.addresses["c"]


def test_what_the_same_bytes_are_is_alive_as_long_as_they():
    s = Small((1, 20, 8, 8))
    s.accel("a", "x")
    s.reshape("b", "a", (1, 20, 64, 1))
    for k in range(3):
        s.accel(f"t{k}", f"t{k - 1}" if k else "a")
    s.accel("c", "b")
    s.reshape("out", "b", (1, 20 * 64))
    placed = s.placed("t2", "c", "out")
    assert on_host(placed) == []
    runs_right(placed)


def test_other_bytes_are_moved_by_the_host():
    s = Small((1, 20, 3, 4))
    s.accel("a", "x")
    s.reshape("b", "a", (1, 60, 2, 2))
    s.accel("c", "b")
    placed = s.placed("c")
    assert views(placed) == {} and on_host(placed) == ["view"]
    runs_right(placed, launches=2)


def test_what_the_host_reads_too_is_moved_for_it_and_packed_apart():
    s = Small((1, 4, 5, 3))
    s.transpose("nchw", "x", (0, 3, 1, 2))
    s.accel("y", "nchw")
    s.add("dequantize", "real", "nchw", (1, 3, 4, 5), {"scale": 0.1, "zero_point": 3}, dtype="float32")
    placed = s.placed("y", "real")
    assert views(placed) == {"nchw.packed": ("x", "folded into packing")}
    assert on_host(placed) == ["transpose", "dequantize"]
    runs_right(placed)


def test_a_tensor_packed_twice_has_two_places():
    s = Small((1, 4, 4, 4))
    s.transpose("turned", "x", (0, 3, 1, 2))
    s.accel("a", "turned")
    s.accel("b", "x")
    placed = s.placed("a", "b")
    assert views(placed) == {"turned": ("x", "folded into packing")}
    _, _, module = runs_right(placed)
    assert module.addresses["turned"] != module.addresses["x"]


def test_equal_views_are_packed_once():
    s = Small((1, 4, 5, 3))
    s.transpose("one", "x", (0, 3, 1, 2))
    s.transpose("two", "x", (0, 3, 1, 2))
    s.accel("a", "one")
    s.accel("b", "two")
    placed = s.placed("a", "b")
    assert views(placed) == {"one": ("x", "folded into packing")}
    assert [n.inputs[0] for n in placed.nodes[1:]] == ["one", "one"]
    runs_right(placed)


def test_moves_between_hosts_stay():
    s = Small((1, 4, 5, 3))
    s.add("dequantize", "real", "x", (1, 4, 5, 3), {"scale": 0.1, "zero_point": 3}, dtype="float32")
    s.transpose("turned", "x", (0, 3, 1, 2))
    placed = s.placed("real", "turned")
    assert views(placed) == {} and on_host(placed) == ["dequantize", "transpose"]


def test_quantising_is_done_in_the_users_order():
    s = Small((1, 4, 5, 3), dtype="float32")
    s.add("Transpose", "nchw", "x", (1, 3, 4, 5), {"perm": (0, 3, 1, 2)}, dtype="float32")
    s.add("quantize", "q", "nchw", (1, 3, 4, 5), {"scale": 0.1, "zero_point": 3, "dtype": "int8", "rounding": "half_even"})
    s.accel("y", "q")
    s.add("dequantize", "real", "y", (1, 3, 4, 5), {"scale": 0.1, "zero_point": 3}, dtype="float32")
    s.add("Reshape", "flat", "real", (1, 60), {"shape": (1, 60)}, dtype="float32")
    placed = s.placed("flat")
    assert on_host(placed) == ["quantize", "dequantize"]
    assert [reason for _, reason in views(placed).values()] == ["folded into packing", "folded into unpacking"]
    module = pipeline.build(placed, DEFAULT)
    x = np.random.default_rng(6).standard_normal((1, 4, 5, 3)).astype(np.float32)
    outputs, report = module.run(x)
    assert report.bit_exact and np.array_equal(outputs["flat"], executor.reference(module, [x])["flat"])


def test_scales_an_axis_do_not_move():
    s = Small((1, 3, 4), dtype="float32")
    s.add("Transpose", "turned", "x", (1, 4, 3), {"perm": (0, 2, 1)}, dtype="float32")
    s.add("quantize", "q", "turned", (1, 4, 3),
          {"scale": (0.1, 0.2, 0.3, 0.4), "zero_point": (0,) * 4, "axis": 1, "dtype": "int8", "rounding": "half_even"})
    placed = s.placed("q")
    assert [n.op for n in placed.nodes] == ["Transpose", "quantize"]


def test_softmax_writes_bytes_at_once():
    s = Small((1, 6))
    type_ = TensorType((1, 6), "int8", 1 / 256, -128)
    attrs = {"axis": -1, "scale": 1 / 256, "zero_point": -128, "dtype": "int8", "rounding": "half_away"}
    table = s.graph.add_constant("table", np.arange(256, 0, -1).astype(np.int32))
    s.add("softmax", "shares", "x", (1, 6), attrs, (table,), dtype="int8", scale=type_.scale, zero_point=-128)
    s.add("int8_to_uint8", "bytes", "shares", (1, 6), dtype="uint8", scale=type_.scale, zero_point=0)
    before = s.graph.copy()
    before.outputs = ["bytes"]
    placed = s.placed("bytes")
    assert on_host(placed) == ["softmax"] and placed.tensors["bytes"].dtype == "uint8"
    x = {"x": np.array([[-128, 127, 120, 3, 3, 100]], np.int8)}
    assert np.array_equal(reference.run(placed, x)["bytes"], reference.run(before, x)["bytes"])
