"""Published topologies that the onnx package carries without their weights, given seeded ones: `load(name)`.

The package's files hold one number for all values of a tensor, so that all channels are alike and a permuted result looks
right. Here weights are uniform, of the variance that He gives them; scales of channels are about 1, and shifts about 0.
"""

import math
from pathlib import Path

import numpy as np
import onnx

from weft.compiler import frontends, graph_passes
from weft.compiler.graph import Graph
from weft.isa import DEFAULT, WeftError

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
PREFIX = "light_"
SCALES = {"BatchNormalization": {1, 4}, "Mul": {0, 1}}  # inputs that multiply channels, by operator


def names() -> list[str]:
    """The networks that this onnx package carries, as `densenet121`."""
    return sorted(path.stem.removeprefix(PREFIX) for path in FOLDER.glob(f"{PREFIX}*.onnx"))


def load(name: str, seed: int = 0) -> Graph:
    """A network of `names()` in float, with seeded weights, ready for `quantise_graph`.

    Raises
    ------
    WeftError: for a network that the onnx package does not carry.
    """
    if name not in names():
        raise WeftError(f"network '{name}'", f"a network of the onnx package is one of {', '.join(names()) or 'none: it carries no models'}",
                        repr(name), "one of these, or another version of onnx")
    graph = graph_passes.run(frontends.load(FOLDER / f"{PREFIX}{name}.onnx"), DEFAULT, passes=[graph_passes.FoldConstants()])
    rng = np.random.default_rng(seed)
    for node in graph.nodes:
        for index, tensor in enumerate(node.inputs):
            if tensor in graph.constants and graph.constants[tensor].dtype == np.float32:
                graph.constants[tensor] = _values(rng, node.op, index, graph.constants[tensor].shape)
    return graph


def _values(rng: np.random.Generator, op: str, index: int, shape: tuple[int, ...]) -> np.ndarray:
    """float32: input `index` of an operator."""
    uniform = rng.integers(-127, 128, shape, np.int8) * np.float32(math.sqrt(3) / 127)  # variance 1
    if op in ("Conv", "Gemm") and index == 1:
        return uniform * np.float32(math.sqrt(2 / math.prod(shape[1:])))
    return 1 + uniform / 10 if index in SCALES.get(op, ()) else uniform / 10
