"""Where everything of a placed graph lies in the accelerator's DRAM: `plan(graph, config)`.

The image begins with the constants that accelerator nodes read; the activations they read or write follow, and share
space where they are not alive together. All are in their physical layouts (weft.runtime.layout) and begin at multiples of
ALIGNMENT bytes. What only host nodes touch has no place here.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from weft.isa import Config
from weft.isa.quantise import QNT_LANE
from weft.runtime import layout

from .graph import ACCELERATOR, Graph, Node

ALIGNMENT = 4096


@dataclass(frozen=True)
class Layout:
    """How tensors of a role lie in DRAM: shape and pack are functions of (logical shape or array, config)."""

    shape: Callable[[tuple[int, ...], Config], tuple[int, ...]]
    pack: Callable[[np.ndarray, Config], np.ndarray]
    dtype: np.dtype = np.dtype(np.int8)


LAYOUTS = {
    "activation": Layout(layout.activation_shape, layout.pack_activation),
    "weight": Layout(layout.weight_shape, layout.pack_weight),
    "depthwise": Layout(layout.depthwise_weight_shape, layout.pack_depthwise_weight),
    "qnt": Layout(layout.qnt_shape, layout.pack_qnt, QNT_LANE),
    "table": Layout(layout.table_shape, layout.pack_table, layout.LUT_TABLE),
}
ROLES = {"conv2d": ("activation", "weight", "qnt", "table"), "conv2d_add": ("activation", "weight", "qnt", "activation", "qnt", "table"),
         "dense": ("activation", "weight", "qnt", "table"),
         "depthwise_conv2d": ("activation", "depthwise", "qnt", "table"), "avg_pool": ("activation", "qnt"), "lut": ("activation", "table"),
         **dict.fromkeys(("add", "mul"), ("activation", "activation", "qnt", "table")), "requantise": ("activation", "qnt", "table")}  # of inputs


@dataclass(frozen=True)
class Buffer:
    """A tensor in DRAM. role: one of LAYOUTS. Alive from node `first` (-1: an input) to node `last`.

    last is len(nodes) for what is read after the run, and for constants, which live from -1.
    """

    name: str
    role: str
    shape: tuple[int, ...]
    first: int
    last: int
    size: int  # bytes, without what fills up to ALIGNMENT


@dataclass(frozen=True)
class Plan:
    """addresses: byte offset of each tensor. constants_end: where the activations begin. size: where they end.

    peak: bytes that activations take. lower_bound: bytes of those alive at the worst moment, which no plan can beat.
    """

    buffers: dict[str, Buffer]
    addresses: dict[str, int]
    constants_end: int
    size: int
    lower_bound: int

    @property
    def peak(self) -> int:
        return self.size - self.constants_end

    def __str__(self) -> str:
        rows = [f"{self.addresses[b.name]:#010x} {b.size:>9} {b.role:<10} {b.first:>4} to {b.last:<4} {b.name}"
                for b in sorted(self.buffers.values(), key=lambda b: (self.addresses[b.name], b.first))]
        return "\n".join([*rows, f"constants {self.constants_end} bytes, activations {self.peak} (at least "
                                 f"{self.lower_bound})"]) + "\n"


def plan(graph: Graph, config: Config) -> Plan:
    """Addresses for a placed graph: constants one after the other, activations first fit, the largest first."""
    buffers = {b.name: b for b in _buffers(graph, config)}
    addresses, end = {}, 0
    for buffer in buffers.values():
        if buffer.name in graph.constants:
            addresses[buffer.name] = end
            end += aligned(buffer.size)
    activations = [b for b in buffers.values() if b.name not in graph.constants]
    same = _same_bytes(graph, buffers)
    offsets = first_fit([b for b in activations if b.name not in same])
    for name, source in same.items():
        offsets[name] = offsets[source]
    addresses |= {name: end + offset for name, offset in offsets.items()}
    peak = max((offsets[b.name] + aligned(b.size) for b in activations), default=0)
    return Plan(buffers, addresses, end, end + peak, lower_bound([b for b in activations if b.name not in same]))


def constants_image(graph: Graph, config: Config, placed: Plan) -> np.ndarray:
    """The bytes [0, constants_end) of the image, uint8: the constants packed where the plan puts them."""
    image = np.zeros(placed.constants_end, np.uint8)
    for name, buffer in placed.buffers.items():
        if name in graph.constants:
            data = np.ascontiguousarray(LAYOUTS[buffer.role].pack(graph.constants[name], config)).reshape(-1).view(np.uint8)
            image[placed.addresses[name]:placed.addresses[name] + data.size] = data
    return image


def aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def first_fit(buffers: list[Buffer]) -> dict[str, int]:
    """Offsets by name: each buffer, the largest first, at the lowest place free during its whole life."""
    placed: list[tuple[int, Buffer]] = []
    for buffer in sorted(buffers, key=lambda b: (-b.size, b.first, b.name)):
        offset = 0
        for start, other in sorted(placed, key=lambda p: p[0]):
            together = buffer.first <= other.last and other.first <= buffer.last
            if together and start < offset + aligned(buffer.size) and offset < start + aligned(other.size):
                offset = start + aligned(other.size)
        placed.append((offset, buffer))
    return {buffer.name: offset for offset, buffer in placed}


def lower_bound(buffers: list[Buffer]) -> int:
    """The most bytes that are alive at one node."""
    moments = {b.first for b in buffers}
    return max((sum(aligned(b.size) for b in buffers if b.first <= t <= b.last) for t in moments), default=0)


def _buffers(graph: Graph, config: Config) -> Iterator[Buffer]:
    """What accelerator nodes touch, each tensor once, constants first."""
    role_of = roles(graph)
    gathered = {node.inputs[0]: layout.gathered_shape(graph.tensors[node.inputs[0]].shape, node.attrs["gather"])
                for node in graph.nodes if "gather" in node.attrs}
    first, last = _lives(graph)
    for name in sorted(role_of, key=lambda n: n not in graph.constants):
        role, shape = role_of[name], gathered.get(name, graph.tensors[name].shape)
        physical = LAYOUTS[role].shape(shape, config)
        size = math.prod(physical) * LAYOUTS[role].dtype.itemsize
        constant = name in graph.constants
        life = (-1, len(graph.nodes)) if constant else (first[name], last[name])
        yield Buffer(name, role, physical, *life, size)


def roles(graph: Graph) -> dict[str, str]:
    """What each tensor is for the accelerator nodes: a key of LAYOUTS."""
    found: dict[str, str] = {}
    for node in graph.nodes:
        if node.where == "accel":
            assert node.op in ACCELERATOR, node.op
            for name in (*node.inputs, *node.outputs):
                known, at = _input_roles(node), node.inputs.index(name) if name in node.inputs else None
                found.setdefault(name, known[at] if at is not None and at < len(known) else
                                 "qnt" if graph.tensors[name].dtype == "qnt" else "activation")
    return found


def _input_roles(node: Node) -> tuple[str, ...]:
    """The roles of a node's inputs; those of pieces are what they are for each piece's operator."""
    if node.op != "pieces":
        return ROLES.get(node.op, ())
    activation, *parameters = ROLES[node.attrs["op"]]
    role_of = {i: role for piece in node.attrs["pieces"] for i, role in zip(piece["inputs"], parameters)}
    return activation, *(role_of[i] for i in range(len(node.inputs) - 1))


def _lives(graph: Graph) -> tuple[dict[str, int], dict[str, int]]:
    """The positions of the nodes that make and last read each tensor."""
    first, last = dict.fromkeys(graph.inputs, -1), dict.fromkeys(graph.inputs, -1)
    for position, node in enumerate(graph.nodes):
        first |= dict.fromkeys(node.outputs, position)
        last |= dict.fromkeys((*node.inputs, *node.outputs), position)
    last |= dict.fromkeys(graph.outputs, len(graph.nodes))
    for node in reversed(graph.nodes):
        if node.where == "view":  # who reads a view reads what it is a view of
            last[node.inputs[0]] = max(last.get(node.inputs[0], -1), last[node.outputs[0]])
    return first, last


def _same_bytes(graph: Graph, buffers: dict[str, Buffer]) -> dict[str, str]:
    """Views from the accelerator to the accelerator: the tensor whose place each shares. Sources come before their views."""
    made = {name for node in graph.nodes if node.where == "accel" for name in node.outputs}
    return {node.outputs[0]: node.inputs[0] for node in graph.nodes
            if node.where == "view" and node.inputs[0] in made and node.outputs[0] in buffers}
