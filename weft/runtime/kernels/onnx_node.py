"""`Onnx`: any operator of ONNX that has no kernel here, computed by ONNX's reference evaluator. Slow, and always there."""

import functools
from typing import TYPE_CHECKING

import numpy as np

from weft.isa import WeftError

from .registry import kernel

if TYPE_CHECKING:
    from onnx.reference import ReferenceEvaluator


@functools.cache
def evaluator(node: str, opset: int) -> "ReferenceEvaluator":
    """The evaluator of a NodeProto, its bytes as hexadecimal digits.

    Raises
    ------
    Exception: of several kinds, where the evaluator does not know the operator.
    """
    import onnx  # slow to import, and most networks do without
    from onnx.reference import ReferenceEvaluator

    proto = onnx.NodeProto()
    proto.ParseFromString(bytes.fromhex(node))
    return ReferenceEvaluator(proto, opsets={proto.domain: opset})


@kernel("Onnx")
def onnx_node(attrs, *arrays):
    """attrs: operator, its name; node, the bytes of the NodeProto in hexadecimal digits; opset, the version of its domain.

    Raises
    ------
    WeftError: where the evaluator cannot compute it.
    """
    run = evaluator(attrs["node"], attrs["opset"])
    feeds = {name: array for name, array in zip(run.input_names, arrays, strict=False) if name}
    try:
        results = run.run(None, feeds)
    except Exception as error:  # it raises its own errors, and what NumPy raises
        raise WeftError(f"operator {attrs['operator']}", "ONNX's reference evaluator must be able to compute it",
                        f"{type(error).__name__}: {error}", "to check its attributes and the shapes of its inputs") from None
    return tuple(np.asarray(y) for name, y in zip(run.output_names, results, strict=True) if name)
