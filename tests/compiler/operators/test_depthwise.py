"""Depthwise convolutions: any kernel, stride and padding, with and without a table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.harness import Network
from tests.compiler.operators.running import CONFIGS, THREADS, assert_operator, assert_program
from weft.compiler.operators import build, depthwise
from weft.compiler.operators.depthwise import ORDER, Tile
from weft.isa import DEFAULT, PRESETS, Config, WeftError


@st.composite
def convolutions(draw, largest: int = 40, parts: int = 1):
    kernel = draw(st.sampled_from([(3, 3), (5, 5), (7, 7), (1, 3), (3, 1), (2, 8)]))
    pads = tuple(draw(st.integers(0, kernel[side % 2] - 1)) for side in range(4))
    size = [draw(st.integers(max(1, kernel[d] - pads[d] - pads[d + 2]), 9 + kernel[d])) for d in (0, 1)]
    network = Network(draw(st.integers(0, 99)))
    x = network.input(draw(st.integers(1, 3)), draw(st.integers(1, largest)), *size)
    network.depthwise(x, kernel, (draw(st.integers(1, 3)), draw(st.integers(1, 3))), pads, draw(st.integers(-128, 127)),
                      draw(st.booleans()), parts)
    return network


@given(convolutions(), CONFIGS, THREADS)
def test_random_depthwise_convolutions(network, config, threads):
    assert_operator(network, config, threads)


@given(convolutions(24, 2), CONFIGS, THREADS)
def test_random_depthwise_convolutions_of_two_kernels(network, config, threads):
    assert_operator(network, config, threads)


@given(convolutions(24), CONFIGS, st.data())
def test_any_tile_means_the_same(network, config, data):
    (node,) = network.graph.nodes
    shape = depthwise.shape_of(node, network.graph, config)
    sizes = {axis: data.draw(st.integers(1, getattr(shape, axis)), axis) for axis in ORDER}
    tile = Tile(**sizes, threads=data.draw(st.integers(1, 3)), thread_axis=data.draw(st.sampled_from(ORDER)))
    assert_program(depthwise.program("any", shape, tile, (*node.inputs, *node.outputs)), network, config)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_images_larger_than_the_scratchpads(kernel, stride, threads):
    network = Network()
    network.depthwise(network.input(1, 48, 56, 56), kernel, stride, kernel // 2)
    assert_operator(network, Config(name="small", acc_buffer=1 << 14, inp_buffer=1 << 13), threads)


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
@pytest.mark.parametrize("channels, size, stride", [(32, 112, 1), (96, 112, 2), (1024, 7, 1), (960, 7, 1)])
def test_tiles_of_large_layers_fit(channels, size, stride, config):
    network = Network()
    network.depthwise(network.input(1, channels, size, size), 3, stride, 1)
    (node,) = network.graph.nodes
    build(node, network.graph, config)


def test_a_row_wider_than_the_window_is_refused():
    network = Network()
    network.depthwise(network.input(1, 16, 20, 20), (1, 17))
    with pytest.raises(WeftError) as error:
        build(network.graph.nodes[0], network.graph, DEFAULT)
    assert str(error.value) == ("node 'depthwise_conv2d0' (depthwise_conv2d): a row of the kernel has at most 16 values, "
                                "but "
                                "found 17; try: conv2d with groups, its weights widened with zeros to whole blocks")
