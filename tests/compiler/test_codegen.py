"""From operators to instructions: every byte as the integer reference has it, on every machine."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.compiler.harness import Network, assert_right, plan, problems, random_inputs
from tests.compiler.programs import const, element_nest, finish, loops, run_interpreted, run_on_device
from weft.compiler.codegen import generate
from weft.compiler.expr import Load, Select, binary
from weft.compiler.interpret import run
from weft.compiler.operators import build
from weft.compiler.passes import PASSES, run_passes
from weft.compiler.stmt import Alloc, Buffer, LoopProgram, Seq, Store
from weft.isa import DEFAULT, PRESETS, Config, Memory, Opcode, WeftError
from weft.runtime.layout import pack_activation, pack_qnt, pack_weight, unpack_activation

CONFIGS = pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)


@CONFIGS
@pytest.mark.parametrize("threads", (1, 2))
@pytest.mark.parametrize("kernel, stride, pad", ((1, 1, 0), (1, 2, 0), (3, 1, 1), (3, 2, 1), (7, 2, 3)))
def test_convolutions(config, threads, kernel, stride, pad):
    network = Network(kernel)
    network.conv2d(network.input(2, 40, 13, 11), 24, kernel, stride, pad, pad_value=-3)
    assert_right(network, config, threads)


@CONFIGS
@pytest.mark.parametrize("threads", (1, 2))
def test_groups_of_whole_blocks(config, threads):
    network, channels = Network(threads), 3 * config.block_in
    network.conv2d(network.input(1, channels, 9, 8), 2 * channels, 3, 1, 1, pad_value=6, groups=3)
    assert_right(network, config, threads)


@CONFIGS
def test_dense(config):
    network = Network()
    network.dense(network.dense(network.input(3, 200), 100), 10)
    assert_right(network, config)


@CONFIGS
def test_a_network_in_one_stream(config):
    """A residual block with pools at both ends; layers overlap, and nothing is lost."""
    network = Network(7)
    x = network.conv2d(network.input(1, 3, 32, 32), 24, 7, 2, 3, pad_value=9)
    x = network.max_pool(x, 3, 2, 1)
    y = network.conv2d(x, 24, 3, 1, 1, pad_value=-5)
    y = network.conv2d(y, 24, 3, 1, 1)
    x = network.add(x, y)
    x = network.avg_pool(x, 8, 1)
    network.conv2d(x, 10, 1)
    image = assert_right(network, config)
    assert set(image.stream.layers) == set(range(7))
    assert image.stream.instructions[-1].opcode == Opcode.FINISH


@st.composite
def networks(draw) -> Network:
    network = Network(draw(st.integers(0, 1000)))
    x = network.input(draw(st.integers(1, 3)), draw(st.sampled_from((1, 3, 8, 16, 20, 33, 48))), draw(st.integers(1, 18)),
                      draw(st.integers(1, 18)))
    pair = lambda low, high: draw(st.tuples(st.integers(low, high), st.integers(low, high)))  # noqa: E731
    for _ in range(draw(st.integers(1, 3))):
        op = draw(st.sampled_from(("conv2d", "conv2d", "max_pool", "avg_pool", "add")))
        h, w = network.graph.tensors[x].shape[2:]
        if op == "add":
            x = network.add(x, network.requantise(x))
            continue
        if op == "conv2d":
            kernel, dilation = pair(1, 4), draw(st.sampled_from((1, 1, 2)))
            reach = [(k - 1) * dilation for k in kernel]
            pads = tuple(draw(st.integers(0, r)) for r in reach * 2)
            assume(h + pads[0] + pads[2] > reach[0] and w + pads[1] + pads[3] > reach[1])
            channels, pad_value = draw(st.sampled_from((5, 16, 40))), draw(st.sampled_from((0, -7, 100)))
            x = network.conv2d(x, channels, kernel, pair(1, 3), pads, dilation, pad_value)
        else:
            kernel, pad = draw(st.integers(1, 3)), draw(st.integers(0, 1))
            assume(pad < kernel and min(h, w) + 2 * pad >= kernel)
            arguments = (x, kernel, draw(st.integers(1, 3)), pad)
            if op == "max_pool":
                clamp = draw(st.sampled_from(({}, {"minimum": -20}, {"minimum": -100, "maximum": 90})))
                x = network.max_pool(*arguments, **clamp)
            else:
                x = network.avg_pool(*arguments, draw(st.sampled_from((0, 9))))
    return network


@settings(max_examples=2 * settings().max_examples)
@given(networks(), st.sampled_from(list(PRESETS.values())), st.integers(1, 3))
def test_random_networks(network, config, threads):
    assert_right(network, config, threads)


@CONFIGS
def test_every_stage_means_the_same(config):
    """The interpreter gives the same after each pass, leaves included."""
    network = Network(5)
    network.conv2d(network.input(1, 20, 7, 6), 20, 3, 1, 1, pad_value=4)
    graph, node = network.graph, network.graph.nodes[0]
    arrays = {name: pack_activation(value, config) for name, value in random_inputs(network).items()}
    for name, value in graph.constants.items():
        arrays[name] = pack_qnt(value, config) if value.dtype.names else pack_weight(value, config)
    program = build(node, graph, config)
    stages = {"lowered": program}
    run_passes(program, config, lambda name, result: stages.update({name: result}))
    assert list(stages) == ["lowered", *(p.name for p in PASSES)]
    results = []
    for stage in stages.values():
        output = np.zeros(stage.arguments[node.outputs[0]].shape, np.int8)
        run(stage, {**arrays, node.outputs[0]: output})
        results.append(unpack_activation(output, graph.tensors[node.outputs[0]].shape, config))
    assert all(np.array_equal(r, results[0]) for r in results[1:])
    assert "gemm(" in str(stages["tensorize"]) and "gemm(" not in str(stages["vthread"])


def test_virtual_threads_are_woven():
    """Loads of one thread stand before the sums of the other, tile by tile."""
    network = Network(1)
    network.conv2d(network.input(1, 64, 14, 14), 64, 3, 1, 1)
    modules = [i.module.name for i in plan(network, DEFAULT, 2).stream.instructions]
    computes = [k for k, m in enumerate(modules) if m == "COMPUTE"]
    assert any("LOAD" in modules[a:b] for a, b in zip(computes, computes[1:]))


def like_layers(count: int):
    network = Network(2)
    x = network.input(1, 32, 14, 14)
    for _ in range(count):
        x = network.conv2d(x, 32, 3, 1, 1)
    return plan(network, DEFAULT).stream


def test_micro_ops_are_stored_once_and_loaded_once():
    """For each end of the scratchpads, at which layers take turns."""
    two, five = like_layers(2), like_layers(5)
    loads = [sum(i.memory_type == Memory.UOP and i.opcode == Opcode.LOAD and i.x_size > 0 for i in s.instructions)
             for s in (two, five)]
    assert five.micro_ops.size == two.micro_ops.size and loads[0] == loads[1] <= 2


def test_layers_take_turns_at_the_ends_of_scratchpads():
    stream = like_layers(3)
    for memory, depth in ((Memory.INP, DEFAULT.inp_depth), (Memory.WGT, DEFAULT.wgt_depth), (Memory.QNT, DEFAULT.qnt_depth)):
        touched: list[set[int]] = [set(), set(), set()]
        for i, layer in zip(stream.instructions, stream.layers):
            if i.opcode in (Opcode.LOAD, Opcode.LOAD_PAD) and i.memory_type == memory and i.x_size:
                touched[layer].add(i.sram_base)
        assert min(touched[0]) == min(touched[2]) == 0
        assert min(touched[1]) >= depth // 2


def test_kernels_that_do_not_fit_together_are_loaded_again():
    config = Config(name="few micro-ops", uop_buffer=1 << 8)
    network = Network(6)
    x = network.input(1, 20, 9, 9)
    network.add(network.conv2d(x, 20, 3, 1, 1), network.max_pool(x, 3, 1, 1))
    assert_right(network, config)


# Programs by hand

def given_x(count: int, config: Config) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(3).integers(-128, 128, (count, config.batch, config.block_out), np.int8)}


@pytest.mark.parametrize("value", (
    lambda x: binary("max", x, -5), lambda x: binary("min", x, 7), lambda x: x + 3, lambda x: x * -3, lambda x: x + x,
    lambda x: x * x, lambda x: x.shift_right(const(2)), lambda x: x.shift_right(const(-2))))
def test_alu_forms(value):
    program = finish(DEFAULT, 9, lambda acc: element_nest(
        DEFAULT, [("i", 9)], lambda i, n, c: Store(acc, (i, n, c), value(Load(acc, (i, n, c))))))
    given_arrays = given_x(9, DEFAULT)
    assert np.array_equal(run_on_device(program, given_arrays, DEFAULT)["y"], run_interpreted(program, given_arrays)["y"])


@pytest.mark.parametrize("step", (1, 2))
def test_order_is_kept_where_a_step_reads_what_another_wrote(step):
    """A running sum: acc[i + step] += acc[i], in order."""
    def body(acc):
        return element_nest(DEFAULT, [("i", 9 - step)], lambda i, n, c: Store(
            acc, (i + step, n, c), Load(acc, (i + step, n, c)) + Load(acc, (i, n, c))))

    program = finish(DEFAULT, 9, body)
    given_arrays = given_x(9, DEFAULT)
    expected = given_arrays["x"].astype(np.int32)
    for k in range(step, 9):
        expected[k] += expected[k - step]
    assert np.array_equal(run_on_device(program, given_arrays, DEFAULT)["y"], expected.astype(np.int8))


def test_a_tile_altogether_in_the_padding():
    """Row by row: the first and the last rows of the output are padding only."""
    config, height, width, pad = DEFAULT, 3, 4, 5
    x = Buffer("x", (height, width, 1, 16), "int8")
    rows, columns = height + 2 * pad, width + 2 * pad
    y = Buffer("y", (rows, columns, 1, 16), "int8")
    acc = Buffer("acc", (1, columns, 1, 16), "int32", "acc")

    def row(r):
        def padded(i, k, n, c):
            at, column = r - pad + i, k - pad
            inside = at.ge(0) & at.lt(height) & column.ge(0) & column.lt(width)
            return Store(acc, (i, k, n, c), Select(inside, Load(x, (at, column, n, c)).astype("int32"), const(-9)))

        load = element_nest(config, [("i", 1), ("k", columns)], padded)
        store = element_nest(config, [("i", 1), ("k", columns)],
                             lambda i, k, n, c: Store(y, (r + i, k, n, c), Load(acc, (i, k, n, c)).astype("int8")))
        return Alloc(acc, Seq([load, store]))

    program = LoopProgram("pad", {"x": x, "y": y}, loops([("r", rows)], row))
    given_arrays = {"x": np.random.default_rng(1).integers(-128, 128, x.shape, np.int8)}
    expected = np.pad(given_arrays["x"], ((pad, pad), (pad, pad), (0, 0), (0, 0)), constant_values=-9)
    assert np.array_equal(run_on_device(program, given_arrays, config)["y"], expected)


# Refusals

def test_an_access_outside_of_its_buffer_is_refused():
    program = finish(DEFAULT, 4, lambda acc: element_nest(
        DEFAULT, [("i", 5)], lambda i, n, c: Store(acc, (i, n, c), const(0))))
    with pytest.raises(WeftError) as error:
        generate([program], {"x": 0, "y": 4096}, DEFAULT, 8192)
    assert str(error.value) == (
        "program 'test', instruction 'reset(acc=acc[i]) for i in range(5)': elements of 'acc' are from 0 to 3, but found "
        "0 to 4; try: a schedule whose tiles and paddings lie within their buffers")


def test_a_tensor_without_address_is_refused():
    program = finish(DEFAULT, 1, lambda acc: Seq([]))
    with pytest.raises(WeftError) as error:
        generate([program], {"x": 0}, DEFAULT, 8192)
    assert str(error.value) == ("program 'test', tensor 'y': every argument has an address, but found none; "
                                "try: a memory plan that holds it")


def test_a_misplaced_tensor_is_refused():
    program = finish(DEFAULT, 1, lambda acc: Seq([]))
    with pytest.raises(WeftError) as error:
        generate([program], {"x": 24, "y": 4096}, DEFAULT, 8192)
    assert str(error.value) == ("program 'test', tensor 'x': its address is a multiple of its element, 16 bytes, but found "
                                "0x18; try: page-aligned addresses")


def test_nothing_to_do_is_a_finish():
    stream = generate([], {}, DEFAULT, 0)
    assert [i.opcode for i in stream.instructions] == [Opcode.FINISH] and stream.micro_ops.size == 0


def test_the_checker_has_nothing_to_say():
    network = Network(9)
    network.max_pool(network.conv2d(network.input(1, 16, 10, 10), 32, 3, 1, 1), 2, 2)
    assert problems(plan(network, DEFAULT), DEFAULT) == []
