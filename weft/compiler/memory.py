"""Where everything of a placed graph lies in the accelerator's DRAM: `plan(graph, config)`.

The image begins with the constants that accelerator nodes read; the activations they read or write follow, and share
space where they are not alive together, or lie within one another. All are in their physical layouts (weft.runtime.layout)
and begin at multiples of ALIGNMENT bytes, but for those within others. What only host nodes touch has no place here.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from weft.isa import Config
from weft.isa.quantise import QNT_LANE
from weft.runtime import layout

from .arena import Buffer, aligned, arrange, lower_bound, peak
from .graph import ACCELERATOR, Graph, Node
from .sharing import Within, grounded, shared


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
ROLES = {"conv2d": ("activation", "weight", "qnt", "table"),
         "conv2d_add": ("activation", "weight", "qnt", "activation", "qnt", "table"),
         "dense": ("activation", "weight", "qnt", "table"),
         "depthwise_conv2d": ("activation", "depthwise", "qnt", "table"), "avg_pool": ("activation", "qnt"),
         "lut": ("activation", "table"),
         **dict.fromkeys(("max", "min"), ("activation", "activation")),
         # of inputs
         **dict.fromkeys(("add", "mul"), ("activation", "activation", "qnt", "table")),
         "requantise": ("activation", "qnt", "table")}


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
    """Addresses for a placed graph: constants one after the other, activations where `sharing` and `arena` put them."""
    buffers = {b.name: b for b in _buffers(graph, config)}
    addresses, end = {}, 0
    for buffer in buffers.values():
        if buffer.name in graph.constants:
            addresses[buffer.name] = end
            end += aligned(buffer.size)
    places = shared(graph, buffers, config)
    own = _with_lives_of_all([b for b in buffers.values() if b.name not in graph.constants], places)
    offsets = arrange(own)
    for buffer in buffers.values():
        if buffer.name not in graph.constants:
            tensor, offset = grounded(places, buffer.name)
            addresses[buffer.name] = end + offsets[tensor] + offset
    return Plan(buffers, addresses, end, end + peak(own, offsets), lower_bound(own))


def _with_lives_of_all(buffers: list[Buffer], places: Mapping[str, Within]) -> list[Buffer]:
    """The buffers that have a place of their own, alive as long as anything that lies in them."""
    first, last = {}, {}
    for buffer in buffers:
        tensor = grounded(places, buffer.name).tensor
        first[tensor] = min(first.get(tensor, buffer.first), buffer.first)
        last[tensor] = max(last.get(tensor, buffer.last), buffer.last)
    return [replace(b, first=first[b.name], last=last[b.name]) for b in buffers if b.name not in places]


def constants_image(graph: Graph, config: Config, placed: Plan) -> np.ndarray:
    """The bytes [0, constants_end) of the image, uint8: the constants packed where the plan puts them."""
    image = np.zeros(placed.constants_end, np.uint8)
    for name, buffer in placed.buffers.items():
        if name in graph.constants:
            data = np.ascontiguousarray(LAYOUTS[buffer.role].pack(graph.constants[name], config)).reshape(-1).view(np.uint8)
            image[placed.addresses[name]:placed.addresses[name] + data.size] = data
    return image


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
