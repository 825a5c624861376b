"""Operators that ONNX's reference evaluator computes."""

import numpy as np
import pytest
from onnx import helper

from weft.isa import WeftError
from weft.runtime.kernels import KERNELS


def attrs(op, inputs, outputs, **attributes):
    node = helper.make_node(op, inputs, outputs, **attributes)
    return {"operator": op, "node": node.SerializeToString().hex(), "opset": 17}


def test_absent_inputs_and_outputs():
    x = np.float32([[3, 1, 2]])
    values, places = KERNELS["Onnx"](attrs("TopK", ["x", "k"], ["v", "i"], axis=1), x, np.int64([2]))
    np.testing.assert_array_equal(values, [[3, 2]])
    np.testing.assert_array_equal(places, [[0, 2]])
    (y,) = KERNELS["Onnx"](attrs("Clip", ["x", "", "high"], ["y"]), x, None, np.float32(2))
    np.testing.assert_array_equal(y, [[2, 1, 2]])


def test_refuses_what_cannot_be_computed():
    with pytest.raises(WeftError) as caught:
        KERNELS["Onnx"](attrs("MatMul", ["a", "b"], ["y"]), np.zeros((2, 3)), np.zeros((2, 3)))
    message = str(caught.value)
    assert message.startswith("operator MatMul: ONNX's reference evaluator must be able to compute it, but found ")
    assert message.endswith("; try: to check its attributes and the shapes of its inputs")
