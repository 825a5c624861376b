"""Published topologies that the onnx package carries without their weights, given seeded ones: `build(name)`.

The package's files hold one number for all values of a tensor, so that all channels are alike and a permuted result looks
right. Here weights are normal, of the size that He gives them; scales of channels are about 1, and shifts about 0.
"""

import math
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from weft.isa import WeftError

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
PREFIX = "light_"
INITIALISERS_ALONE = 4  # the first version of the format in which constants need not be inputs too


def names() -> list[str]:
    """The networks that this onnx package carries, as `densenet121`."""
    return sorted(path.stem.removeprefix(PREFIX) for path in FOLDER.glob(f"{PREFIX}*.onnx"))


def build(name: str, seed: int = 0) -> onnx.ModelProto:
    """A network of `names()` in float, with seeded weights.

    Raises
    ------
    WeftError: for a network that the onnx package does not carry.
    """
    if name not in names():
        raise WeftError(f"network '{name}'", f"a network of the onnx package is one of {', '.join(names()) or 'none: it carries no models'}",
                        repr(name), "one of these, or another version of onnx")
    model = onnx.load(FOLDER / f"{PREFIX}{name}.onnx")
    rng = np.random.default_rng(seed)
    shapes = {tensor.name: tuple(numpy_helper.to_array(tensor)) for tensor in model.graph.initializer if tensor.data_type == tensor.INT64}
    filled = {node.output[0]: shapes[node.input[0]] for node in model.graph.node if node.op_type == "ConstantOfShape"}
    roles = _roles(model.graph)
    model.ir_version = max(model.ir_version, INITIALISERS_ALONE)
    kept = [node for node in model.graph.node if node.op_type != "ConstantOfShape"]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    model.graph.initializer.extend(numpy_helper.from_array(_values(rng, roles.get(tensor, "shift"), shape), tensor)
                                   for tensor, shape in filled.items())
    return model


def _roles(graph: onnx.GraphProto) -> dict[str, str]:
    """What each constant is for: 'weight', 'scale' or 'shift' of channels."""
    roles: dict[str, str] = {}
    spread = {}  # an unsqueezed tensor is the tensor
    for node in graph.node:
        inputs = [spread.get(name, name) for name in node.input]
        match node.op_type:
            case "Unsqueeze":
                spread[node.output[0]] = inputs[0]
            case "Conv" | "Gemm":
                roles[inputs[1]] = "weight"
            case "BatchNormalization":
                roles |= {inputs[1]: "scale", inputs[4]: "scale"}
            case "Mul":
                roles |= dict.fromkeys(inputs, "scale")
    return roles


def _values(rng: np.random.Generator, role: str, shape: tuple[int, ...]) -> np.ndarray:
    normal = rng.standard_normal(shape, np.float32)
    if role == "weight":
        return normal * np.float32(math.sqrt(2 / math.prod(shape[1:])))
    return 1 + normal.clip(-3, 3) / 10 if role == "scale" else normal / 10
