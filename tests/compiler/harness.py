"""Small graphs of accelerator operators with random constants, and running their code on the functional device."""

from dataclasses import dataclass

import numpy as np

from weft.compiler.codegen import Stream, generate
from weft.compiler.graph import Graph, Node, TensorType
from weft.compiler.memory import LAYOUTS, roles
from weft.compiler.operators import build
from weft.isa import Config, Instruction, encode
from weft.isa.check import check
from weft.isa.quantise import pack_lanes
from weft.isa.table import INSTRUCTION_BYTES
from weft.runtime.kernels import KERNELS
from weft.runtime.layout import activation_shape, pack_activation, unpack_activation
from weft.sim.functional import FunctionalDevice

PAGE = 4096


def random_lanes(rng: np.random.Generator, channels: int, sums: int):
    """Lanes that bring a sum of `sums` int8 products back into int8, nearly."""
    shift = int(np.clip(np.log2(max(sums, 1)) / 2 + 6 + 17, 1, 47))
    return pack_lanes(rng.integers(-1000, 1000, channels), rng.integers(1 << 15, 1 << 17, channels), shift,
                      rng.integers(-20, 20, channels), -128, 127, 1)


class Network:
    """A graph that grows operator by operator."""

    def __init__(self, seed: int = 0):
        self.rng = np.random.default_rng(seed)
        self.graph = Graph("test")

    def input(self, *shape: int) -> str:
        name = self.graph.add_tensor("input", TensorType(shape, "int8"))
        self.graph.inputs.append(name)
        return name

    def _lanes(self, channels: int, sums: int) -> str:
        return self.graph.add_constant("qnt", random_lanes(self.rng, channels, sums))

    def _node(self, op: str, inputs: list[str], attrs: dict) -> str:
        graph = self.graph
        arrays = [graph.constants.get(n, np.zeros(graph.tensors[n].shape, np.int8)) for n in inputs]
        shape = KERNELS[op](attrs, *arrays)[0].shape
        output = graph.add_tensor(op, TensorType(shape, "int8"))
        graph.nodes.append(Node(f"{op}{len(graph.nodes)}", op, inputs, [output], attrs, "accel"))
        graph.outputs = [output]
        return output

    def conv2d(self, x: str, channels: int, kernel: int | tuple[int, int], stride=1, pad=0, dilation=1, pad_value=0,
               groups=1, parts=1) -> str:
        pair = lambda v: v if isinstance(v, tuple) else (v, v)  # noqa: E731
        kernel, pads = pair(kernel), pad if isinstance(pad, tuple) else (pad,) * 4
        c = self.graph.tensors[x].shape[1] // groups
        w = self.graph.add_constant("w", self.rng.integers(-128, 128, (channels, c, parts * kernel[0], kernel[1]), np.int8))
        qnt = self._lanes(channels, c * parts * kernel[0] * kernel[1])
        attrs = {"strides": pair(stride), "pads": pads, "dilations": pair(dilation), "groups": groups,
                 "pad_value": pad_value}
        return self._node("conv2d", [x, w, qnt], attrs | ({"parts": parts} if parts > 1 else {}))

    def depthwise(self, x: str, kernel: int | tuple[int, int], stride=1, pad=0, pad_value=0, table: bool = False,
                  parts: int = 1) -> str:
        pair = lambda v: v if isinstance(v, tuple) else (v, v)  # noqa: E731
        kernel, pads, c = pair(kernel), pad if isinstance(pad, tuple) else (pad,) * 4, self.graph.tensors[x].shape[1]
        w = self.graph.add_constant("w", self.rng.integers(-128, 128, (c, 1, parts * kernel[0], kernel[1]), np.int8))
        inputs = [x, w, self._lanes(c, parts * kernel[0] * kernel[1]), *([self._table()] if table else [])]
        attrs = {"strides": pair(stride), "pads": pads, "pad_value": pad_value}
        return self._node("depthwise_conv2d", inputs, attrs | ({"parts": parts} if parts > 1 else {}))

    def lut(self, x: str) -> str:
        return self._node("lut", [x, self._table()], {})

    def fuse_table(self):
        """Gives the last node a table of its own."""
        self.graph.nodes[-1].inputs.append(self._table())

    def _table(self) -> str:
        return self.graph.add_constant("table", self.rng.integers(-128, 128, 256, np.int8))

    def dense(self, x: str, channels: int) -> str:
        c = self.graph.tensors[x].shape[1]
        w = self.graph.add_constant("w", self.rng.integers(-128, 128, (channels, c), np.int8))
        return self._node("dense", [x, w, self._lanes(channels, c)], {})

    def add(self, a: str, b: str) -> str:
        multipliers = tuple(int(m) for m in self.rng.integers(1, 1 << 14, 2))
        return self._node("add", [a, b, self._lanes(self.graph.tensors[a].shape[1], 1 << 14)], {"multipliers": multipliers})

    def mul(self, a: str, b: str, zero_points: tuple[int, int] = (0, 0)) -> str:
        return self._node("mul", [a, b, self._lanes(self.graph.tensors[a].shape[1], 1)], {"zero_points": zero_points})

    def extreme(self, op: str, a: str, b: str) -> str:
        return self._node(op, [a, b], {})

    def max_pool(self, x: str, kernel: int, stride: int, pad: int = 0, **clamp: int) -> str:
        return self._node("max_pool", [x], {"kernel": (kernel,) * 2, "strides": (stride,) * 2, "pads": (pad,) * 4, **clamp})

    def avg_pool(self, x: str, kernel: int, stride: int, pad: int = 0, pad_value: int = 0) -> str:
        qnt = self._lanes(self.graph.tensors[x].shape[1], kernel * kernel)
        return self._node("avg_pool", [x, qnt], {"kernel": (kernel,) * 2, "strides": (stride,) * 2, "pads": (pad,) * 4,
                                                 "pad_value": pad_value})

    def requantise(self, x: str) -> str:
        return self._node("requantise", [x, self._lanes(self.graph.tensors[x].shape[1], 1)], {})


@dataclass
class Image:
    """A stream in DRAM with everything that it needs; `addresses` by tensor."""

    stream: Stream
    dram: np.ndarray
    addresses: dict[str, int]
    insn_address: int


def pack_constant(graph: Graph, name: str, config: Config) -> np.ndarray:
    """A constant as the memory plan puts it into DRAM."""
    return LAYOUTS[roles(graph)[name]].pack(graph.constants[name], config)


def plan(network: Network, config: Config, virtual_threads: int = 2) -> Image:
    """Compiles all nodes and lays everything out: tensors, micro-ops, instructions, each on its own pages."""
    graph = network.graph
    addresses, chunks, at = {}, [], PAGE
    activations = [*graph.inputs, *(o for n in graph.nodes for o in n.outputs)]
    arrays = {name: np.zeros(activation_shape(graph.tensors[name].shape, config), np.int8) for name in activations}
    for name in graph.constants:
        arrays[name] = pack_constant(graph, name, config)
    for name, array in arrays.items():
        addresses[name] = at
        chunks.append((at, array))
        at += -(-array.nbytes // PAGE) * PAGE
    programs = [build(node, graph, config, virtual_threads) for node in graph.nodes]
    stream = generate(programs, addresses, config, at)
    chunks.append((at, stream.micro_ops))
    insn_address = at + -(-stream.micro_ops.nbytes // PAGE) * PAGE
    chunks.append((insn_address, encode(stream.instructions, config)))
    dram = np.zeros(insn_address + len(stream.instructions) * INSTRUCTION_BYTES + PAGE, np.uint8)
    for address, array in chunks:
        raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        dram[address:address + raw.size] = raw
    return Image(stream, dram, addresses, insn_address)


def random_inputs(network: Network) -> dict[str, np.ndarray]:
    graph = network.graph
    return {name: network.rng.integers(-128, 128, graph.tensors[name].shape, np.int8) for name in graph.inputs}


def reference(network: Network, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    values = {**inputs, **network.graph.constants}
    for node in network.graph.nodes:
        values |= zip(node.outputs, KERNELS[node.op](node.attrs, *(values[n] for n in node.inputs)))
    return values


def execute(image: Image, network: Network, inputs: dict[str, np.ndarray], config: Config,
            instructions: list[Instruction] | None = None) -> dict[str, np.ndarray]:
    """All activations after one run of the stream, or of another order of it."""
    device = FunctionalDevice(config, image.dram.size)
    device.write(0, image.dram)
    for name, array in inputs.items():
        device.write(image.addresses[name], pack_activation(array, config))
    if instructions is not None:
        device.write(image.insn_address, encode(instructions, config))
    device.launch(image.insn_address, len(image.stream.instructions))
    outputs = {}
    for node in network.graph.nodes:
        for name in node.outputs:
            shape = network.graph.tensors[name].shape
            packed = device.read(image.addresses[name], int(np.prod(activation_shape(shape, config)))).view(np.int8)
            outputs[name] = unpack_activation(packed, shape, config)
    return outputs


def problems(image: Image, config: Config) -> list[str]:
    """Everything that the static checker has to say."""
    return [str(finding) for finding in check(image.stream.instructions, config, image.dram)]


def assert_right(network: Network, config: Config, virtual_threads: int = 2) -> Image:
    """Compiles, checks and runs, and compares every activation with the integer reference."""
    image = plan(network, config, virtual_threads)
    assert problems(image, config) == []
    inputs = random_inputs(network)
    outputs, expected = execute(image, network, inputs, config), reference(network, inputs)
    for name, array in outputs.items():
        assert np.array_equal(array, expected[name]), f"{name}: {(array != expected[name]).mean():.1%} of values differ"
    return image
