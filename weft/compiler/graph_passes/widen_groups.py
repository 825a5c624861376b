"""Depthwise convolutions become an operator of their own where rows of their kernels fit the machine's window; all other
grouped ones get groups of whole blocks, with weights 0 between what were different groups.

    conv2d(x, w [C, 1, KH, KW]) groups=C -> depthwise_conv2d(x, w)
    conv2d(x, w [O, C/g, ...]) groups=g  -> conv2d(x, w' [O, m*C/g, ...]) groups=g/m

The result is the same; the accelerator, which multiplies whole blocks of channels, can then compute it. m is the smallest
number for which a group fills whole blocks, or g where there is none.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from weft.isa import Config

from ..graph import Graph, Node
from ..operators import depthwise
from ..operators.pieces import piece_node


@dataclass(frozen=True)
class WidenGroups:
    name: ClassVar[str] = "widen-groups"

    def __call__(self, graph: Graph, config: Config) -> None:
        for node in graph.nodes:
            if node.op == "conv2d" and node.attrs["groups"] > 1 and node.inputs[1] in graph.constants:
                if _is_depthwise(graph, node, config):
                    _make_depthwise(graph, node)
                else:
                    _widen(graph, node, config.block_in)
            elif node.op == "pieces" and node.attrs["op"] == "conv2d" and node.attrs["pieces"][0]["attrs"]["groups"] > 1:
                _of_pieces(graph, node, config)


def _of_pieces(graph: Graph, node: Node, config: Config) -> None:
    """The same for pieces, all of which have as many groups."""
    made = [piece_node(node, i) for i in range(len(node.attrs["pieces"]))]
    depthwise = all(_is_depthwise(graph, each, config) for each in made)
    for each in made:
        if depthwise:
            _make_depthwise(graph, each)
        else:
            _widen(graph, each, config.block_in)
    names = list(dict.fromkeys(name for each in made for name in each.inputs[1:]))
    node.inputs = [node.inputs[0], *names]
    pieces = tuple(piece | {"attrs": each.attrs, "inputs": tuple(map(names.index, each.inputs[1:]))}
                   for piece, each in zip(node.attrs["pieces"], made, strict=True))
    node.attrs = node.attrs | {"op": made[0].op, "pieces": pieces}


def _is_depthwise(graph: Graph, node: Node, config: Config) -> bool:
    o, each_in, *kernel = graph.tensors[node.inputs[1]].shape
    return node.attrs["groups"] == o and each_in == 1 and node.attrs["dilations"] == (1, 1) and \
        depthwise.can_run(tuple(kernel), node.attrs["dilations"], config)


def _make_depthwise(graph: Graph, node: Node) -> None:
    name = node.inputs[1]
    type_ = graph.tensors[name]
    node.op = "depthwise_conv2d"  # with a constant of its own: other readers may want another layout
    node.inputs[1] = graph.add_constant(f"{name}.rows", graph.constants[name], type_.scale, type_.zero_point, type_.axis)
    node.attrs = {key: value for key, value in node.attrs.items() if key not in ("groups", "dilations")}


def _widen(graph: Graph, node: Node, block: int) -> None:
    name, groups = node.inputs[1], node.attrs["groups"]
    weight, type_ = graph.constants[name], graph.tensors[name]
    each_in, each_out = weight.shape[1], len(weight) // groups
    whole = (m for m in range(1, groups) if groups % m == 0 and m * each_in % block == 0 and m * each_out % block == 0)
    merged = next(whole, groups)
    if merged == 1:
        return
    node.inputs[1] = graph.add_constant(f"{name}.wide", widened(weight, groups, merged), type_.scale, type_.zero_point,
                                        type_.axis)
    node.attrs = {"macs_per_output": weight[0].size} | node.attrs | {"groups": groups // merged}


def widened(weight: np.ndarray, groups: int, merged: int) -> np.ndarray:
    """Weights [O, merged * C, ...] of `groups // merged` groups that do what weights [O, C, ...] do in `groups`."""
    o, c, *kernel = weight.shape
    wide = np.zeros((groups // merged, merged, o // groups, merged, c, *kernel), weight.dtype)
    split = weight.reshape(groups // merged, merged, o // groups, c, *kernel)
    for k in range(merged):
        wide[:, k, :, k] = split[:, k]
    return wide.reshape(o, merged * c, *kernel)
