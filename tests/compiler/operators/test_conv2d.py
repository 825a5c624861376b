"""Convolutions of random shapes, with the tile that is chosen and with any other one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.harness import Network
from tests.compiler.operators.running import CONFIGS, THREADS, assert_operator, assert_program
from weft.compiler.operators import build, conv2d
from weft.compiler.operators.common import Window
from weft.compiler.operators.conv2d_tile import OUTER, THREAD_AXES, Shape, Tile, choose, estimate
from weft.isa import DEFAULT, PRESETS, Config, WeftError


@st.composite
def convolutions(draw, largest: int = 40, parts: int = 1):
    """A network of one convolution: asymmetric padding, dilation, strides, any kernel."""
    kernel = draw(st.sampled_from([(1, 1), (3, 3), (1, 3), (3, 1), (2, 2), (5, 5), (7, 7)]))
    dilation = draw(st.integers(1, 2))
    reach = [(k - 1) * dilation for k in kernel]
    pads = tuple(draw(st.integers(0, min(reach[side % 2], 4))) for side in range(4))
    size = [draw(st.integers(max(1, reach[d] + 1 - pads[d] - pads[d + 2]), 9 + reach[d])) for d in (0, 1)]
    network = Network(draw(st.integers(0, 99)))
    x = network.input(draw(st.integers(1, 3)), draw(st.integers(1, largest)), *size)
    network.conv2d(x, draw(st.integers(1, largest)), kernel, (draw(st.integers(1, 3)), draw(st.integers(1, 2))), pads,
                   dilation, draw(st.integers(-128, 127)), parts=parts)
    return network


@given(convolutions(), CONFIGS, THREADS)
def test_random_convolutions(network, config, threads):
    assert_operator(network, config, threads)


@given(convolutions(24, parts=2), CONFIGS, THREADS)
def test_random_convolutions_of_two_kernels(network, config, threads):
    assert_operator(network, config, threads)


@given(convolutions(24), CONFIGS, st.data())
def test_any_tile_means_the_same(network, config, data):
    (node,) = network.graph.nodes
    shape = conv2d.shape_of(node, network.graph, config)
    sizes = {axis: data.draw(st.integers(1, getattr(shape, axis)), axis) for axis in ("n", "co", "oh", "ow", "ci")}
    sizes |= {axis: data.draw(st.integers(1, getattr(shape.window, axis)), axis) for axis in ("kh", "kw")}
    tile = Tile(**sizes, order=data.draw(st.sampled_from(sorted(OUTER))), hold=data.draw(st.booleans()),
                threads=data.draw(st.integers(1, 4)), thread_axis=data.draw(st.sampled_from(THREAD_AXES[:4])))
    assert_program(conv2d.program("any", shape, tile, (*node.inputs, *node.outputs)), network, config)


@given(st.integers(2, 4), st.integers(1, 2), st.integers(1, 2), CONFIGS, THREADS)
def test_groups_of_whole_blocks(groups, blocks_in, blocks_out, config, threads):
    network = Network()
    b = config.block_in
    x = network.input(1, groups * blocks_in * b, 6, 5)
    network.conv2d(x, groups * blocks_out * b, 3, pad=1, groups=groups)
    assert_operator(network, config, threads)


@pytest.mark.parametrize("channels, size, outputs, kernel, stride", [
    (3, 224, 64, 7, 2), (64, 512, 64, 3, 1), (2048, 7, 512, 1, 1), (512, 7, 512, 3, 1), (64, 56, 64, 3, 1)])
@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
@pytest.mark.parametrize("threads", [1, 2])
def test_tiles_of_large_layers_fit(channels, size, outputs, kernel, stride, config, threads):
    shape = large(channels, size, outputs, kernel, stride, config)
    tile = choose("large", shape, config, threads)
    assert tile.threads <= (2 * threads if threads > 1 else 1)
    copies = min(tile.threads, -(-getattr(shape, tile.thread_axis) // getattr(tile, tile.thread_axis)))
    assert tile.n * tile.co * tile.oh * tile.ow * copies <= config.acc_depth
    assert tile.ci * tile.n * shape.window.rows(tile.oh) * shape.window.columns(tile.ow) <= config.inp_depth
    assert tile.co * tile.ci * kernel * kernel <= config.wgt_depth


def large(channels: int, size: int, outputs: int, kernel: int, stride: int, config: Config) -> Shape:
    pad, b = kernel // 2, config.block_in
    out = (size + 2 * pad - kernel) // stride + 1
    window = Window(kernel, kernel, (stride,) * 2, (pad,) * 4)
    return Shape(n=1, ci=-(-channels // b), co=-(-outputs // b), h=size, w=size, oh=out, ow=out, window=window, pad_value=0,
                 batch=config.batch, block=b)


@pytest.mark.parametrize("channels, size, outputs, stride", [
    (64, 56, 64, 1), (64, 56, 128, 2), (128, 28, 128, 1), (256, 14, 256, 1), (512, 7, 512, 1)])
def test_3x3_layers_are_estimated_to_be_busy(channels, size, outputs, stride):
    shape = large(channels, size, outputs, 3, stride, DEFAULT)
    steps = shape.co * shape.ci * shape.oh * shape.ow * 9
    assert steps / estimate(shape, DEFAULT, choose("layer", shape, DEFAULT, 2)) > 0.85


def refused(network: Network, config: Config) -> str:
    with pytest.raises(WeftError) as error:
        build(network.graph.nodes[0], network.graph, config)
    return str(error.value)


@given(st.integers(0, 99), st.tuples(*[st.integers(-4, 20)] * 4), st.integers(1, 3), CONFIGS, THREADS)
def test_windows_in_the_padding_and_images_of_which_parts_are_left_out(seed, pads, stride, config, threads):
    network = Network(seed)
    network.conv2d(network.input(1, 20, 9, 10), 18, (1, 2), stride, pads, pad_value=-3)
    assert_operator(network, config, threads)


def test_groups_within_a_block_are_refused():
    network = Network()
    network.conv2d(network.input(1, 32, 8, 8), 32, 3, pad=1, groups=4)
    assert refused(network, DEFAULT) == (
        "node 'conv2d0' (conv2d): channels of a group are a multiple of the block of 16, in and out, but found 8 in "
        "and 8 out; try: weights widened with zeros to whole blocks, or the host")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kernel, dilation, pad, parts", [(7, 1, 3, 1), ((1, 40), 1, 0, 1), (5, 4, 8, 1), (6, 1, 2, 2)])
def test_a_kernel_larger_than_the_scratchpads_is_cut(kernel, dilation, pad, parts, threads):
    network = Network()
    network.conv2d(network.input(1, 40, 9, 45), 20, kernel, 2, pad, dilation, 3, parts=parts)
    assert_operator(network, Config(name="small", inp_buffer=1 << 9, wgt_buffer=1 << (15 if parts > 1 else 13)), threads)


def test_a_whole_image_as_kernel():
    network = Network()
    network.conv2d(network.input(1, 16, 56, 56), 10, 56)
    assert_operator(network, DEFAULT, 2)
