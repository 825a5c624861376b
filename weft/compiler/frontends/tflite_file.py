"""The flatbuffer of a TFLite file, read into plain data."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tflite

from weft.isa import WeftError

IDENTIFIER = b"TFL3"
_DTYPES = {code: name.lower() for name, code in vars(tflite.TensorType).items() if not name.startswith("_")}
_OPERATORS = {code: name for name, code in vars(tflite.BuiltinOperator).items() if not name.startswith("_")}
_OPTIONS = {  # the fields that the importer reads, of each operator that has some
    "CONV_2D": (tflite.Conv2DOptions, "Padding StrideH StrideW DilationHFactor DilationWFactor FusedActivationFunction"),
    "DEPTHWISE_CONV_2D": (tflite.DepthwiseConv2DOptions,
                          "Padding StrideH StrideW DilationHFactor DilationWFactor FusedActivationFunction"),
    "TRANSPOSE_CONV": (tflite.TransposeConvOptions, "Padding StrideH StrideW FusedActivationFunction"),
    "FULLY_CONNECTED": (tflite.FullyConnectedOptions, "WeightsFormat FusedActivationFunction"),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"),
                    (tflite.Pool2DOptions, "Padding StrideH StrideW FilterHeight FilterWidth FusedActivationFunction")),
    "ADD": (tflite.AddOptions, "FusedActivationFunction"), "SUB": (tflite.SubOptions, "FusedActivationFunction"),
    "MUL": (tflite.MulOptions, "FusedActivationFunction"), "DIV": (tflite.DivOptions, "FusedActivationFunction"),
    "RESIZE_BILINEAR": (tflite.ResizeBilinearOptions, "AlignCorners HalfPixelCenters"),
    "RESIZE_NEAREST_NEIGHBOR": (tflite.ResizeNearestNeighborOptions, "AlignCorners HalfPixelCenters"),
    "DEPTH_TO_SPACE": (tflite.DepthToSpaceOptions, "BlockSize"), "SPACE_TO_DEPTH": (tflite.SpaceToDepthOptions, "BlockSize"),
    "LEAKY_RELU": (tflite.LeakyReluOptions, "Alpha"), "GELU": (tflite.GeluOptions, "Approximate"),
    "SOFTMAX": (tflite.SoftmaxOptions, "Beta"),
    "CONCATENATION": (tflite.ConcatenationOptions, "Axis FusedActivationFunction"),
    **dict.fromkeys(("MEAN", "REDUCE_MAX"), (tflite.ReducerOptions, "KeepDims")),
    "PACK": (tflite.PackOptions, "Axis"), "UNPACK": (tflite.UnpackOptions, "Axis"),
    "MIRROR_PAD": (tflite.MirrorPadOptions, "Mode"),
    "STRIDED_SLICE": (tflite.StridedSliceOptions, "BeginMask EndMask EllipsisMask NewAxisMask ShrinkAxisMask"),
}
_DAMAGED = (struct.error, IndexError, ValueError, TypeError, AttributeError, KeyError, OverflowError, MemoryError)


@dataclass(frozen=True)
class Tensor:
    """data is None for tensors that are computed. scales is () where there is no quantisation."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int
    data: np.ndarray | None


@dataclass(frozen=True)
class Operator:
    """kind is a name of TFLite's BuiltinOperator; options are those of its fields that matter."""

    name: str
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, int | float | bool]

    @property
    def subject(self) -> str:
        return f"node '{self.name}' ({self.kind})"


@dataclass(frozen=True)
class Model:
    tensors: Sequence[Tensor]
    operators: Sequence[Operator]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def parse(data: bytes, name: str) -> Model:
    """WeftError for what is no TFLite file, or a damaged one."""
    if data[4:8] != IDENTIFIER:
        raise WeftError(f"model {name}", "a TFLite file must carry the mark TFL3 at byte 4", repr(bytes(data[4:8])),
                        "to convert or download the model again")
    try:
        return _model(tflite.Model.GetRootAs(data, 0), name)
    except _DAMAGED as error:
        raise WeftError(f"model {name}", "the file must be a whole and valid TFLite model",
                        f"{type(error).__name__}: {error}", "to convert or download the model again") from None


def short_name(name: str) -> str:
    """The first of the names that the converter joined with semicolons when it fused operators."""
    return name.split(";", 1)[0]


def _model(source, name: str) -> Model:
    if source.SubgraphsLength() != 1:
        raise WeftError(f"model {name}", "a model must have one subgraph", str(source.SubgraphsLength()),
                        "to convert it without control flow")
    graph = source.Subgraphs(0)
    tensors = [_tensor(source, graph.Tensors(i)) for i in range(graph.TensorsLength())]
    operators = [_operator(source, graph.Operators(i), tensors, i) for i in range(graph.OperatorsLength())]
    inputs, outputs = (_indices(v, len(tensors)) for v in (graph.InputsAsNumpy(), graph.OutputsAsNumpy()))
    if not operators or not outputs:
        raise ValueError("it has no operators or no outputs")
    return Model(tensors, operators, inputs, outputs)


def _indices(vector, count: int, least: int = 0) -> tuple[int, ...]:
    indices = () if isinstance(vector, int) else tuple(int(i) for i in vector)  # an absent vector reads as 0
    if any(not least <= i < count for i in indices):
        raise IndexError(f"a tensor's number is not below {count}")
    return indices


def _tensor(source, tensor) -> Tensor:
    shape = () if tensor.ShapeLength() == 0 else tuple(int(n) for n in tensor.ShapeAsNumpy())
    dtype, name = _DTYPES[tensor.Type()], (tensor.Name() or b"").decode("utf-8", "replace")
    buffer, data = source.Buffers(tensor.Buffer()), None
    if buffer.DataLength():
        data = _values(buffer.DataAsNumpy(), dtype, shape)
    quantisation = tensor.Quantization()
    scales = () if quantisation is None or not quantisation.ScaleLength() else tuple(map(float, quantisation.ScaleAsNumpy()))
    zeros = () if not scales or not quantisation.ZeroPointLength() else tuple(map(int, quantisation.ZeroPointAsNumpy()))
    if zeros and len(zeros) != len(scales):
        raise ValueError(f"tensor '{name}' has {len(scales)} scales and {len(zeros)} zero points")
    axis = quantisation.QuantizedDimension() if scales else 0
    if len(scales) > 1 and not (axis < len(shape) and shape[axis] == len(scales)):
        raise ValueError(f"tensor '{name}' has {len(scales)} scales along axis {axis} of shape {shape}")
    return Tensor(name, shape, dtype, scales, zeros, axis, data)


def _values(raw: np.ndarray, dtype: str, shape: tuple[int, ...]) -> np.ndarray | None:
    if dtype not in np.sctypeDict:  # strings, resources and 4-bit numbers: an operator that reads them is refused
        return None
    return raw.view(np.dtype(dtype).newbyteorder("<")).astype(dtype).reshape(shape)


def _operator(source, operator, tensors: list[Tensor], position: int) -> Operator:
    code = source.OperatorCodes(operator.OpcodeIndex())
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())  # old files have the number in the narrow field only
    kind = _OPERATORS.get(number, f"operator {number}")
    if kind == "CUSTOM":
        kind = f"CUSTOM {(code.CustomCode() or b'').decode('utf-8', 'replace')}"
    inputs = _indices(operator.InputsAsNumpy(), len(tensors), least=-1)
    outputs = _indices(operator.OutputsAsNumpy(), len(tensors))
    name = short_name(tensors[outputs[0]].name) if outputs else ""
    return Operator(name or f"operator {position}", kind, inputs, outputs, _options(kind, operator.BuiltinOptions()))


def _options(kind: str, table) -> dict[str, int | float | bool]:
    if kind not in _OPTIONS:
        return {}
    if table is None:
        raise ValueError(f"{kind} without options")
    type_, fields = _OPTIONS[kind]
    options = type_()
    options.Init(table.Bytes, table.Pos)
    return {field: getattr(options, field)() for field in fields.split()}
