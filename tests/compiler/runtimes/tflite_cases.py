"""Networks of one operator in TFLite's form, int8 and uint8, each in several sizes; NHWC, scales as a converter has them."""

import math
from collections.abc import Sequence

import numpy as np
import tflite

from tests.compiler.frontends.flatbuffer import Op, T, build

from .comparing import Case

SAME, VALID = tflite.Padding.SAME, tflite.Padding.VALID
RELU, RELU6 = tflite.ActivationFunctionType.RELU, tflite.ActivationFunctionType.RELU6
X_SCALE = 0.0417


def lift(dtype: str, zero_point: int) -> int:
    """The zero point of the same real numbers in that dtype; `zero_point` as for int8."""
    return zero_point + (128 if dtype == "uint8" else 0)


def tensor(name: str, shape, dtype: str = "int8", scale: float = X_SCALE, zero_point: int = -7) -> T:
    return T(name, tuple(shape), dtype, scale, lift(dtype, zero_point))


def case(
    name: str, family: str, operator: Op, inputs: Sequence[T], output: T, constants: Sequence[T] = (), ties: str = ""
) -> Case:
    """The operator's own inputs and outputs are given: inputs first, constants next, the output last."""
    tensors = [*inputs, *constants, output]
    operator = Op(operator.kind, list(range(len(tensors) - 1)), [len(tensors) - 1], operator.options)
    return Case(f"tflite {name}", family, build(tensors, [operator], list(range(len(inputs))), [len(tensors) - 1]), ties)


def op(kind: str, table: str = "", **fields) -> Op:
    return Op(kind, [], [], (table, fields))


def convolution(
    name: str,
    shape,
    kernel,
    outputs: int,
    stride=1,
    dilation=1,
    padding=SAME,
    dtype="int8",
    depthwise=False,
    activation=0,
    each_channel=True,
    family="",
) -> Case:
    rng = np.random.default_rng(3)
    channels = shape[3]
    outputs = channels if depthwise else outputs
    scales = rng.uniform(0.002, 0.02, outputs).astype(np.float32) if each_channel else np.float32([0.011])
    weight_shape = (1, *kernel, channels) if depthwise else (outputs, *kernel, channels)
    depth = math.prod(kernel) * (1 if depthwise else channels)
    reach = float(X_SCALE * 74 * scales.mean() * 74 * math.sqrt(depth))  # a deviation of the sums
    if each_channel:
        w = T(
            "w",
            weight_shape,
            "int8",
            scales,
            0,
            3 if depthwise else 0,
            rng.integers(-127, 128, weight_shape).astype(np.int8),
        )
    else:
        w = T("w", weight_shape, "uint8", scales[0], 128, 0, rng.integers(1, 256, weight_shape).astype(np.uint8))
    b = T(
        "b", (outputs,), "int32", scales * np.float32(X_SCALE), 0, 0, rng.integers(-4000, 4000, outputs).astype(np.int32)
    )
    size = [
        -(-n // stride) if padding == SAME else (n - (k - 1) * dilation - 1) // stride + 1
        for n, k in zip(shape[1:3], kernel, strict=True)
    ]
    y = tensor("y", (shape[0], *size, outputs), dtype, reach * 4 / 255, -128 if activation else 4)
    fields = {
        "Padding": padding,
        "StrideH": stride,
        "StrideW": stride,
        "DilationHFactor": dilation,
        "DilationWFactor": dilation,
        "FusedActivationFunction": activation,
    } | ({"DepthMultiplier": 1} if depthwise else {})
    kind, table = ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions") if depthwise else ("CONV_2D", "Conv2DOptions")
    family = family or ("Conv, depthwise" if depthwise else "Conv and Relu" if activation else "Conv")
    return case(f"conv {name}", family, op(kind, table, **fields), [tensor("x", shape, dtype)], y, [w, b])


def convolutions() -> list[Case]:
    found = [
        convolution("3x3", (1, 14, 14, 16), (3, 3), 32),
        convolution("3x3 stride 2", (1, 15, 15, 16), (3, 3), 24, 2),
        convolution("3x3 valid", (1, 14, 14, 16), (3, 3), 32, padding=VALID),
        convolution("1x1", (1, 7, 7, 64), (1, 1), 48),
        convolution("7x7 stride 2 of 3 channels", (1, 32, 32, 3), (7, 7), 16, 2),
        convolution("3x3 of 512 channels", (1, 7, 7, 512), (3, 3), 16),
        convolution("3x3 dilated", (1, 16, 16, 8), (3, 3), 8, 1, 2),
        convolution("relu", (1, 14, 14, 16), (3, 3), 16, activation=RELU),
        convolution("relu6", (1, 14, 14, 16), (3, 3), 16, activation=RELU6),
    ]
    found += [
        convolution(f"{k}x{k} stride {s}", (1, 15, 15, 24), (k, k), 0, s, depthwise=True)
        for k, s in ((3, 1), (3, 2), (5, 1), (5, 2), (7, 2))
    ]
    found += [
        convolution("uint8", (1, 14, 14, 16), (3, 3), 16, dtype="uint8", each_channel=False, family="Conv, uint8"),
        convolution(
            "uint8 relu",
            (1, 14, 14, 16),
            (1, 1),
            16,
            dtype="uint8",
            each_channel=False,
            activation=RELU,
            family="Conv, uint8",
        ),
        convolution(
            "uint8 depthwise",
            (1, 15, 15, 24),
            (3, 3),
            0,
            2,
            dtype="uint8",
            depthwise=True,
            each_channel=False,
            family="Conv, uint8",
        ),
    ]
    return found


def fully_connected(rows: int, depth: int, columns: int, dtype="int8") -> Case:
    rng = np.random.default_rng(4)
    x = tensor("x", (rows, depth), dtype)
    if dtype == "int8":
        w = T("w", (columns, depth), "int8", 0.0073, 0, 0, rng.integers(-127, 128, (columns, depth)).astype(np.int8))
    else:
        w = T("w", (columns, depth), "uint8", 0.0073, 121, 0, rng.integers(0, 256, (columns, depth)).astype(np.uint8))
    b = T(
        "b",
        (columns,),
        "int32",
        np.float32(0.0073) * np.float32(X_SCALE),
        0,
        0,
        rng.integers(-4000, 4000, columns).astype(np.int32),
    )
    y = tensor("y", (rows, columns), dtype, 0.0073 * X_SCALE * 74 * 74 * math.sqrt(depth) * 4 / 255, 9)
    return case(
        f"fully connected {rows}x{depth}x{columns} {dtype}",
        "Gemm",
        op("FULLY_CONNECTED", "FullyConnectedOptions"),
        [x],
        y,
        [w, b],
    )


def elementwise() -> list[Case]:
    shape, found = (1, 16, 16, 16), [
        fully_connected(64, 64, 100),
        fully_connected(4, 1024, 64),
        fully_connected(8, 256, 50, "uint8"),
    ]
    for kind, table in (("ADD", "AddOptions"), ("SUB", "SubOptions"), ("MUL", "MulOptions")):
        for dtype in ("int8", "uint8"):
            for scale in (X_SCALE, 0.023, 0.0031):
                out = (X_SCALE + scale) * 0.797331 if kind != "MUL" else X_SCALE * scale * 89.7331
                found.append(
                    case(
                        f"{kind.lower()} {scale} {dtype}",
                        kind.capitalize(),
                        op(kind, table),
                        [tensor("x", shape, dtype), tensor("z", shape, dtype, scale, 11)],
                        tensor("y", shape, dtype, out, 5),
                    )
                )
        found.append(
            case(
                f"{kind.lower()} in one scale",
                kind.capitalize(),
                op(kind, table),
                [tensor("x", shape, scale=0.25), tensor("z", shape, scale=0.25, zero_point=11)],
                tensor("y", shape, scale=0.5 if kind != "MUL" else 1.0, zero_point=5),
                ties="rule" if kind != "MUL" else "noise",
            )
        )  # it rounds a product twice
    found.append(
        case(
            "add relu",
            "Add",
            op("ADD", "AddOptions", FusedActivationFunction=RELU),
            [tensor("x", shape), tensor("z", shape, scale=0.023, zero_point=11)],
            tensor("y", shape, scale=0.031, zero_point=-128),
        )
    )
    for kind, family, scale, zero in (("LOGISTIC", "Sigmoid", 1 / 256, -128), ("TANH", "Tanh", 1 / 128, 0)):
        for dtype in ("int8", "uint8"):
            found.append(
                case(
                    f"{family} {dtype}",
                    family,
                    op(kind),
                    [tensor("x", shape, dtype)],
                    tensor("y", shape, dtype, scale, zero),
                )
            )
    found.append(
        case(
            "HardSwish",
            "HardSwish",
            op("HARD_SWISH", "HardSwishOptions"),
            [tensor("x", shape)],
            tensor("y", shape, scale=0.021, zero_point=-110),
        )
    )
    for family, ties, operator in (
        ("LeakyRelu", "coarse", op("LEAKY_RELU", "LeakyReluOptions", Alpha=0.1)),
        ("Gelu", "", op("GELU", "GeluOptions", Approximate=False)),
    ):
        y = tensor("y", shape, scale=0.027, zero_point=-100)
        found.append(case(family, family, operator, [tensor("x", shape)], y, ties=ties))
    for kind, scale in (("RELU", 0.021), ("RELU6", 6 / 255)):
        found.append(
            case(kind.lower(), "Relu", op(kind), [tensor("x", shape)], tensor("y", shape, scale=scale, zero_point=-128))
        )
    for pair in (("int8", "int8"), ("int8", "uint8"), ("uint8", "int8")):
        for scale, zero in ((X_SCALE, -7), (0.0331, 17)):
            found.append(
                case(
                    f"quantize {pair[0]} to {pair[1]} {scale}",
                    "change of scale",
                    op("QUANTIZE", "QuantizeOptions"),
                    [tensor("x", shape, pair[0])],
                    tensor("y", shape, pair[1], scale, zero),
                )
            )
    found.append(
        case(
            "softmax",
            "Softmax",
            op("SOFTMAX", "SoftmaxOptions", Beta=1.0),
            [tensor("x", (8, 100), scale=0.06)],
            tensor("y", (8, 100), scale=1 / 256, zero_point=-128),
        )
    )
    return found


def windows() -> list[Case]:
    shape, found = (1, 15, 15, 16), []
    for kind in ("MAX_POOL_2D", "AVERAGE_POOL_2D"):
        for size, stride, padding in (
            (2, 2, VALID),
            (3, 2, VALID),
            (3, 2, SAME),
            (3, 1, SAME),
            (5, 5, VALID),
            (7, 1, VALID),
        ):
            for dtype in ("int8", "uint8"):
                out = [-(-15 // stride) if padding == SAME else (15 - size) // stride + 1] * 2
                fields = {
                    "Padding": padding,
                    "StrideH": stride,
                    "StrideW": stride,
                    "FilterHeight": size,
                    "FilterWidth": size,
                }
                found.append(
                    case(
                        f"{kind.lower()} {size} stride {stride} {dtype}",
                        "MaxPool" if kind[0] == "M" else "AveragePool",
                        op(kind, "Pool2DOptions", **fields),
                        [tensor("x", shape, dtype)],
                        tensor("y", (1, *out, 16), dtype),
                    )
                )
    axes = T("axes", (2,), "int32", data=np.int32([1, 2]))
    for size in (4, 7, 8):
        for scale in (X_SCALE, 0.0213):
            for keep in (True, False):
                found.append(
                    case(
                        f"mean {size} {scale} keep {keep}",
                        "ReduceMean",
                        op("MEAN", "ReducerOptions", KeepDims=keep),
                        [tensor("x", (1, size, size, 512))],
                        tensor("y", (1, 1, 1, 512) if keep else (1, 512), scale=scale),
                        [axes],
                        "noise" * (scale == X_SCALE),
                    )
                )
    return found


def moves() -> list[Case]:
    shape = (1, 9, 9, 16)
    widths = T("pads", (4, 2), "int32", data=np.int32([[0, 0], [1, 2], [2, 1], [0, 0]]))
    return [
        case(
            "concat",
            "Concat",
            op("CONCATENATION", "ConcatenationOptions", Axis=3),
            [tensor("x", shape), tensor("z", (1, 9, 9, 24))],
            tensor("y", (1, 9, 9, 40)),
        ),
        case("pad", "Pad", op("PAD", "PadOptions"), [tensor("x", shape)], tensor("y", (1, 12, 12, 16)), [widths]),
    ]


def resizes() -> list[Case]:
    found, size = [], T("size", (2,), "int32", data=np.int32([18, 18]))
    for kind, table in (("NEAREST_NEIGHBOR", "NearestNeighbor"), ("BILINEAR", "Bilinear")):
        for corners, half in ((False, False), (False, True), (True, False)):
            operator = op(f"RESIZE_{kind}", f"Resize{table}Options", AlignCorners=corners, HalfPixelCenters=half)
            text = f"resize {kind.lower()} corners {corners} half {half}"
            family = f"Resize {'linear' if kind == 'BILINEAR' else 'nearest'}"
            ties = "" if kind != "BILINEAR" else "coarse" if corners else "rule"
            x, y = tensor("x", (1, 9, 9, 16)), tensor("y", (1, 18, 18, 16))
            found.append(case(text, family, operator, [x], y, [size], ties))
    return found


def transposed_convolutions() -> list[Case]:
    rng, found = np.random.default_rng(6), []
    for kernel, padding in ((2, VALID), (3, SAME), (4, SAME)):
        scales = rng.uniform(0.002, 0.02, 24).astype(np.float32)
        shape = T("shape", (4,), "int32", data=np.int32([1, 18, 18, 24]))
        weights = rng.integers(-127, 128, (24, kernel, kernel, 16)).astype(np.int8)
        w = T("w", weights.shape, "int8", scales, 0, 0, weights)
        bias = rng.integers(-4000, 4000, 24).astype(np.int32)
        b = T("b", (24,), "int32", scales * np.float32(X_SCALE), 0, 0, bias)
        options = ("TransposeConvOptions", {"Padding": padding, "StrideH": 2, "StrideW": 2})
        tensors = [tensor("x", (1, 9, 9, 16)), shape, w, b, tensor("y", (1, 18, 18, 24), scale=0.31, zero_point=4)]
        data = build(tensors, [Op("TRANSPOSE_CONV", [1, 2, 0, 3], [4], options)], [0], [4])
        found.append(Case(f"tflite transpose conv {kernel}x{kernel} stride 2", "ConvTranspose", data))
    return found


GROUPS = (convolutions, elementwise, windows, moves, resizes, transposed_convolutions)
