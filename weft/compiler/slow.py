"""Which operators take far longer than they need to, by the estimates that their tiles were chosen with.

What they need is the time of their MACs at full rate or of their activations on the bus, whichever is longer. Every tensor
compiles: those of odd sizes, few channels or large kernels are slow at worst, and a note says so.
"""

import math
from collections.abc import Mapping

from weft.isa import Config

from . import operators
from .graph import Graph, Node
from .operators import cost
from .stmt import LoopProgram

TIMES = 4  # what an operator needs
SHARE = 0.1  # of the network's cycles: less is not worth a note


def build(node: Node, graph: Graph, config: Config, virtual_threads: int) -> tuple[LoopProgram, float]:
    """The node's loop program and the cycles that it is estimated to take; errors as of `operators.build`."""
    with cost.chosen() as cycles:
        program = operators.build(node, graph, config, virtual_threads)
    return program, sum(cycles)


def notes(graph: Graph, config: Config, cycles: Mapping[str, float]) -> dict[str, str]:
    """What there is to say of the slow ones among the nodes. cycles, and the notes: by the nodes' first outputs."""
    found, total = {}, sum(cycles.values())
    for node in graph.nodes:
        taken = cycles.get(node.outputs[0], 0.0)
        needed = least(graph, node, config)
        if taken > TIMES * needed and taken >= SHARE * total > 0:
            times, share = f"{taken / needed:.0f}", f"{taken / total:.0%}"
            found[node.outputs[0]] = f"slow: about {times} times the cycles that it needs, {share} of the network's"
    return found


def least(graph: Graph, node: Node, config: Config) -> float:
    """Cycles that the node needs at least: of its MACs at full rate, or of its activations on the bus."""
    moving = {name for name in (*node.inputs, *node.outputs) if name and name not in graph.constants}
    bytes_ = sum(math.prod(graph.tensors[name].shape) for name in moving)
    return max(graph.macs(node) / config.macs_per_cycle, bytes_ / (config.bus_bits // 8))
