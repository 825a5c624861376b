"""Networks of one operator in ONNX's QDQ form, each in several sizes; the scale of an output is what its values need."""

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.compiler.frontends.qdq import Qdq

from .comparing import Case, session, stored_edges

Build = Callable[["Stored"], str]


class Stored(Qdq):
    """A Qdq model of several inputs, judged on inputs that use all of int8."""

    def __init__(self, shape, seed=0, unsigned=False, scale=0.02, zero_point=3, opset=20):
        self.shapes: dict[str, tuple[int, ...]] = {"x": tuple(shape)}
        self.opset = opset
        super().__init__(shape, seed, unsigned, scale, zero_point)

    def another(self, shape=None, scale: float = 0.013, zero_point: int = -20) -> str:
        """One more input."""
        name = f"x{len(self.shapes)}"
        self.shapes[name] = tuple(shape or self.shape)
        return self.quantise(name, scale, zero_point)

    def flat_weights(self, source: str, shape, zero_point: int = 0, unsigned: bool = False) -> str:
        """Weights of one scale, without a bias; uint8 with a zero point if asked for."""
        dtype = np.uint8 if unsigned else np.int8
        info = np.iinfo(dtype)
        stored = self.rng.integers(max(info.min, -127), info.max + 1, shape).astype(dtype)
        parameters = [
            self.constant(stored, "w"),
            self.constant(np.float32(0.0071), "scale"),
            self.constant(dtype(zero_point), "zero"),
        ]
        self.nodes.append(
            helper.make_node("DequantizeLinear", parameters, [f"{parameters[0]}.dq"], f"{parameters[0]}.dq")
        )
        return f"{parameters[0]}.dq"

    def quantise_constant(self, stored: np.ndarray, scale: float) -> str:
        parameters = [
            self.constant(stored, "k"),
            self.constant(np.float32(scale), "scale"),
            self.constant(np.int8(5), "zero"),
        ]
        self.nodes.append(
            helper.make_node("DequantizeLinear", parameters, [f"{parameters[0]}.dq"], f"{parameters[0]}.dq")
        )
        return f"{parameters[0]}.dq"

    def model(self, output: str) -> onnx.ModelProto:
        inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in self.shapes.items()]
        y = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
        model = helper.make_model(
            helper.make_graph(self.nodes, "test", inputs, [y], self.constants),
            opset_imports=[helper.make_opsetid("", self.opset)],
        )
        model.ir_version = 9
        return onnx.shape_inference.infer_shapes(model)

    def _measured(self, name: str) -> tuple[float, int]:
        run = session(self.model(name).SerializeToString(), "ONNX Runtime, unfused")
        values = np.concatenate([run({n: self._real(n, seed) for n in self.shapes})[0].reshape(-1) for seed in range(4)])
        low, high = min(values.min(), 0), max(values.max(), 1e-3)
        scale = float(np.float32((high - low) / 255))
        return scale, int(np.clip(np.rint(-128 - low / scale), -128, 127))

    def _real(self, name: str, seed: int) -> np.ndarray:
        whole = np.random.default_rng(seed).integers(-128, 128, self.shapes[name])
        return (whole * self.scales[f"{name}.dq"]).astype(np.float32)


def case(name: str, family: str, shape, build: Build, ties: str = "", **options) -> Case:
    model = Stored(shape, **options)
    return Case(f"onnx {name}", family, stored_edges(model.model(build(model))), ties)


def settled(scale: float) -> str:
    """What decides ties: float32 computes with powers of two exactly, and with other scales not quite."""
    return "rule" if np.frexp(scale)[0] == 0.5 else "noise"


def conv(shape, weights, bias=True, each_channel=True, **attrs) -> Build:
    def build(q: Stored) -> str:
        names = q.weights(q.x, weights, bias=bias) if each_channel else [q.flat_weights(q.x, weights)]
        return q.op("Conv", [q.x, *names], **attrs)

    return build


def convolutions() -> list[Case]:
    one, found = [1, 1, 1, 1], []
    table = [
        ("3x3", (1, 16, 14, 14), (32, 16, 3, 3), {"pads": one}),
        ("3x3 stride 2", (1, 16, 15, 15), (24, 16, 3, 3), {"pads": one, "strides": [2, 2]}),
        ("1x1", (1, 64, 7, 7), (48, 64, 1, 1), {}),
        ("7x7 stride 2 of 3 channels", (1, 3, 32, 32), (16, 3, 7, 7), {"pads": [3] * 4, "strides": [2, 2]}),
        ("3x3 of 512 channels", (1, 512, 7, 7), (16, 512, 3, 3), {"pads": one}),
        ("3x3 dilated", (1, 8, 16, 16), (8, 8, 3, 3), {"pads": [2] * 4, "dilations": [2, 2]}),
        ("3x5 of four groups", (1, 16, 12, 12), (16, 4, 3, 5), {"group": 4, "pads": [1, 2, 1, 2]}),
        ("batch 2", (2, 8, 9, 9), (16, 8, 3, 3), {"pads": one}),
    ]
    for name, shape, weights, attrs in table:
        for unsigned in (False, True):
            found.append(
                case(
                    f"conv {name}{', uint8' * unsigned}", "Conv", shape, conv(shape, weights, **attrs), unsigned=unsigned
                )
            )
    found += [
        case(
            f"conv one scale, {bits} weights",
            "Conv",
            (1, 16, 14, 14),
            lambda q, u=bits == "uint8": q.op(
                "Conv", [q.x, q.flat_weights(q.x, (16, 16, 3, 3), 121 if u else 0, u)], pads=one
            ),
            unsigned=True,
        )
        for bits in ("int8", "uint8")
    ]
    for size, stride in ((3, 1), (3, 2), (5, 1), (5, 2), (7, 2)):
        attrs = {"group": 24, "pads": [size // 2] * 4, "strides": [stride] * 2}
        found.append(
            case(
                f"depthwise {size}x{size} stride {stride}",
                "Conv, depthwise",
                (1, 24, 15, 15),
                conv(None, (24, 1, size, size), **attrs),
            )
        )
    found.append(
        case(
            "conv relu",
            "Conv and Relu",
            (1, 16, 14, 14),
            lambda q: q.op("Relu", [q.plain("Conv", [q.x, *q.weights(q.x, (16, 16, 3, 3))], pads=one)]),
        )
    )
    found.append(
        case(
            "conv clip 6",
            "Conv and Relu",
            (1, 16, 14, 14),
            lambda q: q.op(
                "Clip",
                [
                    q.plain("Conv", [q.x, *q.weights(q.x, (16, 16, 3, 3))], pads=one),
                    q.constant(np.float32(0)),
                    q.constant(np.float32(6)),
                ],
            ),
        )
    )
    for name, attrs in (
        ("2x2 stride 2", {"strides": [2, 2]}),
        ("3x3 stride 2", {"strides": [2, 2], "pads": one}),
        ("4x4 stride 2", {"strides": [2, 2], "pads": one}),
        ("3x3 stride 1", {"pads": one}),
    ):
        size = int(name[0])
        found.append(
            case(
                f"conv transpose {name}",
                "ConvTranspose",
                (1, 16, 9, 9),
                lambda q, size=size, attrs=attrs: q.op(
                    "ConvTranspose", [q.x, *q.weights(q.x, (16, 24, size, size), axis=1)], **attrs
                ),
            )
        )
    return found


def products() -> list[Case]:
    def gemm(rows, depth, columns):
        return case(
            f"gemm {rows}x{depth}x{columns}",
            "Gemm",
            (rows, depth),
            lambda q: q.op("Gemm", [q.x, *q.weights(q.x, (columns, depth))], transB=1),
        )

    return [
        gemm(64, 64, 100),
        gemm(16, 1024, 64),
        gemm(1, 2048, 1000),
        case(
            "matmul by constant", "MatMul", (50, 48), lambda q: q.op("MatMul", [q.x, *q.weights(q.x, (48, 40), 1, False)])
        ),
        case(
            "matmul by constant, 3 axes",
            "MatMul",
            (1, 50, 48),
            lambda q: q.op("MatMul", [q.x, *q.weights(q.x, (48, 40), 1, False)]),
        ),
        case("matmul of two", "MatMul", (1, 4, 30, 32), lambda q: q.op("MatMul", [q.x, q.another((1, 4, 32, 30))])),
    ]


def elementwise() -> list[Case]:
    shape, found = (1, 16, 16, 16), []
    for op in ("Add", "Sub", "Mul"):
        for scale in (0.02, 0.013, 0.0007, 0.16):
            found.append(
                case(
                    f"{op.lower()} 0.02, {scale}",
                    op,
                    shape,
                    lambda q, op=op, scale=scale: q.op(op, [q.x, q.another(scale=scale)]),
                )
            )
    for scale in (0.0625, 0.02):
        for op, out in (("Add", scale * 2), ("Sub", scale * 2), ("Mul", scale / 8)):
            found.append(
                case(
                    f"{op.lower()} in scale {scale}",
                    op,
                    shape,
                    lambda q, op=op, scale=scale, out=out: q.op(
                        op, [q.x, q.another(scale=scale if op != "Mul" else 1 / 16)], (out, 1)
                    ),
                    settled(scale),
                    scale=scale,
                )
            )
    found.append(
        case(
            "add a number a channel",
            "Add",
            shape,
            lambda q: q.op(
                "Add", [q.x, q.quantise_constant(q.rng.integers(-100, 100, (1, 16, 1, 1)).astype(np.int8), 0.017)]
            ),
        )
    )
    found.append(case("mul by a number a channel", "Mul", shape, lambda q: q.op("Mul", [q.x, q.another((1, 16, 1, 1))])))
    for op in ("Relu", "LeakyRelu", "HardSwish", "HardSigmoid", "Sigmoid", "Tanh", "Gelu", "Erf"):
        for scale in (0.02, 0.05):
            found.append(case(f"{op} {scale}", op, shape, lambda q, op=op: q.op(op, [q.x]), scale=scale))
    found.append(
        case(
            "clip",
            "Clip",
            shape,
            lambda q: q.op("Clip", [q.x, q.constant(np.float32(-0.9)), q.constant(np.float32(1.1))]),
        )
    )
    found.append(case("requantise", "change of scale", shape, lambda q: q.quantise(q.x, 0.0331, 17)))
    for axis, shape in ((-1, (8, 100)), (-1, (1, 4, 20, 20))):
        found.append(
            case(
                f"softmax {len(shape)} axes",
                "Softmax",
                shape,
                lambda q, axis=axis: q.op("Softmax", [q.x], axis=axis),
                scale=0.06,
            )
        )
    return found


def windows() -> list[Case]:
    shape, one, found = (1, 16, 15, 15), [1, 1, 1, 1], []
    for size, attrs in ((2, {"strides": [2, 2]}), (3, {"strides": [2, 2], "pads": one}), (5, {"pads": [2] * 4})):
        found.append(
            case(
                f"max pool {size}",
                "MaxPool",
                shape,
                lambda q, s=size, a=attrs: q.op("MaxPool", [q.x], (0.02, 3), kernel_shape=[s, s], **a),
            )
        )
    for size, attrs in (
        (2, {"strides": [2, 2]}),
        (3, {"strides": [2, 2]}),
        (7, {}),
        (3, {"pads": one}),
        (3, {"pads": one, "count_include_pad": 1}),
        (3, {"pads": one, "strides": [2, 2]}),
    ):
        text = f"average pool {size} {' '.join(attrs)}"
        found.append(
            case(
                text,
                "AveragePool",
                shape,
                lambda q, s=size, a=attrs: q.op("AveragePool", [q.x], kernel_shape=[s, s], **a),
            )
        )
        for scale in (0.0625, 0.02):
            found.append(
                case(
                    f"{text}, one scale {scale}",
                    "AveragePool",
                    shape,
                    lambda q, s=size, a=attrs, scale=scale: q.op(
                        "AveragePool", [q.x], (scale, 3), kernel_shape=[s, s], **a
                    ),
                    (
                        settled(scale) if "pads" not in attrs or "count_include_pad" in attrs else "noise"
                    ),  # a sixth is no binary fraction
                    scale=scale,
                )
            )
    for size in (4, 7, 8):
        found.append(
            case(
                f"global average pool {size}",
                "GlobalAveragePool",
                (1, 512, size, size),
                lambda q: q.op("GlobalAveragePool", [q.x]),
            )
        )
    found.append(
        case("mean", "ReduceMean", (1, 512, 7, 7), lambda q: q.op("ReduceMean", [q.x, q.constant(np.int64([2, 3]))]))
    )
    for mode in ("nearest", "linear"):
        for factor in (2, 3):
            for form in ("asymmetric", "half_pixel", "align_corners"):
                attrs = {"mode": mode, "coordinate_transformation_mode": form} | (
                    {"nearest_mode": "floor"} if mode == "nearest" else {}
                )
                found.append(
                    case(
                        f"resize {mode} {factor} {form}",
                        f"Resize {mode}",
                        (1, 16, 8, 8),
                        lambda q, f=factor, a=attrs, n=mode: q.op(
                            "Resize",
                            [q.x, "", q.constant(np.float32([1, 1, f, f]))],
                            (0.02, 3) if n == "nearest" else None,
                            **a,
                        ),
                    )
                )
    return found


def moves() -> list[Case]:
    shape = (1, 16, 9, 9)
    return [
        case("concat", "Concat", shape, lambda q: q.op("Concat", [q.x, q.another((1, 24, 9, 9))], axis=1)),
        case(
            "concat, one scale",
            "Concat",
            shape,
            lambda q: q.op("Concat", [q.x, q.another(scale=0.02, zero_point=3)], (0.02, 3), axis=1),
        ),
        case(
            "pad", "Pad", shape, lambda q: q.op("Pad", [q.x, q.constant(np.int64([0, 0, 1, 2, 0, 0, 2, 1]))], (0.02, 3))
        ),
        case(
            "slice",
            "Slice",
            shape,
            lambda q: q.op("Slice", [q.x, *(q.constant(np.int64([v])) for v in (2, 12, 1))], (0.02, 3)),
        ),
        case("transpose", "Transpose", shape, lambda q: q.op("Transpose", [q.x], (0.02, 3), perm=[0, 2, 3, 1])),
    ]


GROUPS = (convolutions, products, elementwise, windows, moves)
