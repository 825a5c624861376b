"""ONNX's operators on real numbers, against the reference evaluator of the onnx package."""

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

from weft.runtime.kernels import KERNELS

RNG = np.random.default_rng(0)


def real(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


X = real(2, 3, 6, 7)
INT = np.int64
CASES = [
    ("Conv", [X, real(4, 3, 3, 2), real(4)], dict(strides=[2, 1], pads=[1, 0, 2, 1], dilations=[1, 2], kernel_shape=[3, 2])),
    ("Conv", [X, real(6, 1, 3, 3)], dict(group=3, auto_pad="SAME_UPPER", strides=[2, 2])),
    ("Conv", [X, real(6, 1, 2, 2)], dict(group=3, auto_pad="SAME_LOWER")),
    ("Conv", [X, real(2, 3, 2, 2)], dict(auto_pad="VALID")),
    ("Gemm", [real(4, 5), real(6, 5), real(6)], dict(transB=1, alpha=0.5, beta=2.0)),
    ("Gemm", [real(5, 4), real(5, 6)], dict(transA=1)),
    ("MatMul", [real(2, 3, 4), real(4, 5)], {}),
    ("MaxPool", [X], dict(kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1])),
    ("AveragePool", [X], dict(kernel_shape=[3, 3], pads=[1, 1, 1, 1])),
    ("AveragePool", [X], dict(kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1, strides=[2, 3])),
    ("GlobalAveragePool", [X], {}), ("ReduceMean", [X, INT([2, 3])], dict(keepdims=0)), ("ReduceMean", [X], {}),
    *[(op, [X, real(3, 1, 7)], {}) for op in ("Add", "Sub", "Mul", "Div")],
    *[(op, [X], {}) for op in ("Neg", "Abs", "Exp", "Tanh", "Relu", "Sigmoid", "HardSwish", "Erf", "Identity")],
    ("Sqrt", [np.abs(X)], {}), ("Log", [np.abs(X)], {}), ("Pow", [np.abs(X), np.float32(3)], {}),
    ("Min", [X, X[:, ::-1], X * 2], {}), ("Max", [X, X[:, ::-1], X * 2], {}),
    ("Clip", [X, np.float32(-0.5), np.float32(1)], {}), ("LeakyRelu", [X], dict(alpha=0.3)), ("HardSigmoid", [X], {}),
    ("Softmax", [X], dict(axis=1)), ("Softmax", [X], {}),
    ("BatchNormalization", [X, real(3), real(3), real(3), np.abs(real(3))], dict(epsilon=1e-3)),
    ("LayerNormalization", [X, real(7), real(7)], dict(axis=-1)),
    ("Transpose", [X], dict(perm=[0, 2, 3, 1])), ("Transpose", [X], {}),
    ("Reshape", [X, INT([0, -1, 7])], {}), ("Flatten", [X], {}), ("Flatten", [X], dict(axis=-1)),
    ("Squeeze", [X[:1], INT([0])], {}), ("Unsqueeze", [X, INT([0, -1])], {}), ("Concat", [X, X * 2], dict(axis=1)),
    ("Slice", [X, INT([1, -1]), INT([9, -9]), INT([2, 3]), INT([2, -3])], {}),
    ("Pad", [X, INT([0, 1, 2, 0, 0, 0, 1, 3]), np.float32(0.5)], {}),
    ("Gather", [X, INT([[2, 0], [1, 1]])], dict(axis=1)), ("Expand", [X[:, :1], INT([2, 3, 6, 7])], {}),
    ("Shape", [X], dict(start=1)),
]


@pytest.mark.parametrize("op, inputs, attrs", CASES, ids=[f"{i}-{c[0]}" for i, c in enumerate(CASES)])
def test_kernel(op, inputs, attrs):
    names = [f"i{k}" for k in range(len(inputs))]
    infos = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
             for n, a in zip(names, map(np.asarray, inputs), strict=True)]
    out = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    graph = helper.make_graph([helper.make_node(op, names, ["y"], **attrs)], "g", infos, [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    (expected,) = ReferenceEvaluator(model).run(None, dict(zip(names, inputs, strict=True)))
    (actual,) = KERNELS[op](attrs, *inputs)
    assert actual.shape == expected.shape and actual.dtype == expected.dtype
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_a_fused_clamp():
    (y,) = KERNELS["Conv"]({"minimum": 0.0, "maximum": 0.5}, X, real(2, 3, 1, 1))
    assert y.min() == 0 and y.max() == 0.5 and y.dtype == np.float32


def test_cast_and_constant_of_shape():
    assert KERNELS["Cast"]({"to": "int32"}, np.float32([1.7, -1.7]))[0].tolist() == [1, -1]
    assert KERNELS["ConstantOfShape"]({"value": 3, "dtype": "int64"}, INT([2]))[0].tolist() == [3, 3]


def test_moves_on_stored_values():
    x = RNG.integers(-128, 128, (1, 2, 4, 5)).astype(np.int8)
    assert (KERNELS["transpose"]({"perm": [0, 2, 3, 1]}, x)[0] == x.transpose(0, 2, 3, 1)).all()
    assert (KERNELS["reshape"]({"shape": [1, 40]}, x)[0] == x.reshape(1, 40)).all()
    cut = dict(starts=(0, 0, 0, 4), ends=(1, 2, 4, -1), steps=(1, 1, 2, -2))
    assert (KERNELS["slice"](cut, x)[0] == x[:, :, ::2, ::-2]).all()
    padded = KERNELS["pad"](dict(before=(0, 1, 0, 0), after=(0, 0, 0, 2), value=-7), x)[0]
    assert padded.shape == (1, 3, 4, 7) and (padded[:, 0] == -7).all() and (padded[:, 1:, :, :5] == x).all()
    assert KERNELS["concat"]({"axis": 1}, x, x)[0].shape == (1, 4, 4, 5)
