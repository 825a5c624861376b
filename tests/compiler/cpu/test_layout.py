import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.compiler.cpu.kernel import LANES, View, plain
from weft.compiler.cpu.layout import Border, borders, fills, images, inner_view, reach
from weft.compiler.graph import Graph, Node, TensorType
from weft.isa.quantise import QNT_LANE


def convolution(size=9, kernel=3, stride=1, pads=(1, 1, 1, 1), dilation=1, pad_value=5) -> Graph:
    """x -> conv2d -> y."""
    graph = Graph("g", inputs=["x"], outputs=["y"])
    graph.tensors["x"] = TensorType((1, 20, size, size), "int8", 1.0, pad_value)
    span = (kernel - 1) * dilation + 1
    out = [(size + pads[k] + pads[k + 2] - span) // stride + 1 for k in (0, 1)]
    graph.tensors["y"] = TensorType((1, 8, *out), "int8", 1.0, 0)
    w = graph.add_constant("w", np.zeros((8, 20, kernel, kernel), np.int8))
    q = graph.add_constant("q", np.zeros(8, QNT_LANE))
    graph.nodes.append(Node("c", "conv2d", ["x", w, q], ["y"], {"strides": (stride, stride), "pads": pads, "dilations": (dilation,) * 2,
                                                                "groups": 1, "pad_value": pad_value}, "cpu"))
    return graph


@pytest.mark.parametrize("parameters, around", [
    ({}, (1, 1, 1, 1)), ({"kernel": 1, "pads": (0, 0, 0, 0)}, None), ({"pads": (0, 2, 1, 0)}, (0, 2, 1, 0)),
    ({"stride": 2, "size": 8}, (1, 1, 0, 0)),  # the last window ends with the image
    ({"stride": 2}, (1, 1, 1, 1)), ({"dilation": 2, "pads": (2, 2, 2, 2)}, (2, 2, 2, 2)), ({"pads": (-1, 0, 0, 1)}, (0, 0, 0, 1))])
def test_what_a_convolution_reaches(parameters, around):
    graph = convolution(**parameters)
    assert reach(graph.nodes[0], graph) == (None if around is None else Border(around, 5))


@given(size=st.integers(3, 12), kernel=st.integers(1, 3), stride=st.integers(1, 3), dilation=st.integers(1, 2), data=st.data())
def test_the_border_is_what_the_windows_touch(size, kernel, stride, dilation, data):
    pads = tuple(data.draw(st.integers(0, 2)) for _ in range(4))
    if size + min(pads[0] + pads[2], pads[1] + pads[3]) < (kernel - 1) * dilation + 1:
        return
    graph = convolution(size, kernel, stride, pads, dilation)
    touched = [sorted(o * stride + k * dilation - pads[d] for o in range(graph.tensors["y"].shape[2 + d]) for k in range(kernel)) for d in (0, 1)]
    around = (*(max(-t[0], 0) for t in touched), *(max(t[-1] - size + 1, 0) for t in touched))
    found = reach(graph.nodes[0], graph)
    assert (found.around if found else (0, 0, 0, 0))[2:] == around[2:]
    assert all(a >= b for a, b in zip(found.around if found else (0, 0, 0, 0), around))


def test_pools_reach_with_values_that_never_count():
    graph = convolution()
    pool = {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (1, 1, 1, 1)}
    graph.tensors |= {"f": TensorType((1, 4, 8, 8), "float32"), "g": TensorType((1, 4, 4, 4), "float32")}
    assert reach(Node("p", "MaxPool", ["f"], ["g"], pool), graph) == Border((1, 1, 0, 0), -np.inf)
    assert reach(Node("p", "AveragePool", ["f"], ["g"], pool), graph) == Border((1, 1, 0, 0), 0)
    stored = {"kernel": (3, 3), "strides": (2, 2), "pads": (1, 1, 1, 1)}
    assert reach(Node("p", "max_pool", ["f"], ["g"], stored), graph) == Border((1, 1, 0, 0), -128)
    assert reach(Node("p", "avg_pool", ["f"], ["g"], stored | {"pad_value": -7}), graph) == Border((1, 1, 0, 0), -7)
    assert reach(Node("p", "Relu", ["f"], ["f"]), graph) is None


def test_readers_that_want_another_value_are_told():
    graph = convolution()
    first = graph.nodes[0]
    wide = Node("wide", "conv2d", list(first.inputs), ["y2"], first.attrs | {"pads": (2, 2, 2, 2)})
    other = Node("other", "conv2d", list(first.inputs), ["y"], first.attrs | {"pad_value": 0})
    graph.tensors["y2"] = TensorType((1, 8, 11, 11), "int8", 1.0, 0)
    found, others = borders(graph, [other, first, wide])
    assert found == {"x": Border((2, 2, 2, 2), 5)} and others == [(other, Border((1, 1, 1, 1), 0))]


def test_images_are_what_spatial_operators_touch_and_what_reaches_these():
    graph = convolution()
    shape = graph.tensors["y"].shape
    graph.tensors |= {"a": TensorType(shape, "int8"), "b": TensorType(shape, "int8"), "t": TensorType((1, 9, 9, 8), "int8"),
                      "u": TensorType((1, 9, 9, 8), "int8"), "r": TensorType((1, 8), "int8")}
    nodes = [*graph.nodes, Node("a", "add", ["y", "a", "q"], ["b"]), Node("t", "transpose", ["b"], ["t"]), Node("u", "lut", ["t"], ["u"]),
             Node("r", "ReduceMean", ["b"], ["r"])]
    assert images(graph, nodes) == {"x", "y", "a", "b"}


def filled(view: View, border: Border, dtype: str) -> np.ndarray:
    """The memory of an image after its fills, uint8; 0xee where nothing was filled."""
    memory = np.full(view.elements * view.itemsize, 0xEE, np.uint8)
    for fill in fills(view, border, dtype):
        for i, j in np.ndindex(*fill.counts):
            at = fill.offset + i * fill.steps[0] + j * fill.steps[1]
            assert 0 <= at and at + 4 * fill.words <= memory.size
            memory[at:at + 4 * fill.words] = np.full(fill.words, fill.pattern, np.uint32).view(np.uint8)
    return memory


@pytest.mark.parametrize("dtype, value, stored", [("int8", -128, 0), ("int8", 3, 131), ("float32", 0.0, 0.0), ("float32", -np.inf, -np.inf)])
@pytest.mark.parametrize("around", [(1, 1, 1, 1), (0, 0, 1, 2), (3, 0, 0, 0), (0, 2, 0, 0)])
@pytest.mark.parametrize("shape", [(1, 3, 4, 5), (2, 20, 1, 3)])
def test_fills_are_the_border_and_nothing_else(shape, around, dtype, value, stored):
    graph = Graph("g", tensors={"x": TensorType(shape, dtype)})
    view = inner_view(graph, "x", True, Border(around, value))
    assert view.dtype == ("uint8" if dtype == "int8" else dtype)
    wide = -(-shape[1] // LANES) * LANES if shape[1] > 4 else 4
    n, _, h, w = shape
    top, left, bottom, right = around
    expected = np.full((n, h + top + bottom, w + left + right, wide), stored, view.dtype)
    expected[:, top:top + h, left:left + w] = np.frombuffer(b"\xee" * view.itemsize, view.dtype)[0]
    assert filled(view, Border(around, value), dtype).tobytes() == expected.tobytes()


def test_tensors_that_are_no_images_are_rows():
    graph = Graph("g", tensors={"x": TensorType((3, 20), "int8"), "s": TensorType((3, 5), "float32"), "v": TensorType((40,), "int64")})
    assert inner_view(graph, "x", False, None) == View("uint8", (3, 20), (32, 1), 0, ((0, 0), (0, 12)))
    assert inner_view(graph, "s", False, None) == plain("float32", (3, 5))
    assert inner_view(graph, "v", False, None) == plain("int64", (40,))
