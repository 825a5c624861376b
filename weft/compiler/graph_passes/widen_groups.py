"""Grouped and depthwise convolutions get groups of whole blocks, with weights 0 between what were different groups.

    conv2d(x, w [O, C/g, ...]) groups=g -> conv2d(x, w' [O, m*C/g, ...]) groups=g/m

The result is the same; the accelerator, which multiplies whole blocks of channels, can then compute it. m is the smallest
number for which a group fills whole blocks, or g where there is none.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from weft.isa import Config

from ..graph import Graph, Node


@dataclass(frozen=True)
class WidenGroups:
    name: ClassVar[str] = "widen-groups"

    def __call__(self, graph: Graph, config: Config) -> None:
        for node in graph.nodes:
            if node.op == "conv2d" and node.attrs["groups"] > 1 and node.inputs[1] in graph.constants:
                _widen(graph, node, config.block_in)


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
