"""The operators of the accelerator: for each a tensor expression, a template of its schedule and a choice of tiles.

`build` makes the loop program of a graph's node. One file an operator.
"""

from weft.isa import Config, WeftError

from ..stmt import LoopProgram, Seq
from . import add, avg_pool, conv2d, dense, depthwise, extremes, lut, max_pool, mul, pieces, requantise

OPERATORS = {"conv2d": conv2d.build, "conv2d_add": conv2d.build, "depthwise_conv2d": depthwise.build, "dense": dense.build,
             "add": add.build, "max_pool": max_pool.build,
             "avg_pool": avg_pool.build, "requantise": requantise.build,
             "lut": lut.build, "mul": mul.build, **dict.fromkeys(("max", "min"), extremes.build),
             "pieces": lambda *given: pieces.build(build, *given),
             # by their places in memory
             **dict.fromkeys(("concat", "slice"), lambda node, *given: LoopProgram(node.name, {}, Seq([])))}


def build(node, graph, config: Config, virtual_threads: int = 2) -> LoopProgram:
    """The scheduled loop program of an accelerator node; its arguments are named as the graph's tensors.

    Raises
    ------
    WeftError: for an operator that is none of the accelerator's, an attribute that the machine cannot do, or where not even
        the smallest tile fits its scratchpads.
    """
    if node.op not in OPERATORS:
        raise WeftError(f"node '{node.name}' ({node.op})", f"the accelerator's operators are {', '.join(OPERATORS)}",
                        f"'{node.op}'", "the host")
    return OPERATORS[node.op](node, graph, config, virtual_threads)
