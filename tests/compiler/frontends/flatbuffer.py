"""Small TFLite files for tests, written with the schema's own builder functions."""

from dataclasses import dataclass

import flatbuffers
import numpy as np
import tflite

TYPES = {"int8": tflite.TensorType.INT8, "uint8": tflite.TensorType.UINT8, "int32": tflite.TensorType.INT32,
         "float32": tflite.TensorType.FLOAT32}


@dataclass
class T:
    """A tensor; `data` for constants. Scales are one number or one an index of `axis`."""

    name: str
    shape: tuple
    dtype: str = "int8"
    scale: object = None
    zero_point: object = 0
    axis: int = 0
    data: np.ndarray | None = None


@dataclass
class Op:
    """kind: a name of BuiltinOperator. options: (name of the table, its fields)."""

    kind: str
    inputs: list
    outputs: list
    options: tuple = ("", {})


def build(tensors: list[T], operators: list[Op], inputs: list[int], outputs: list[int]) -> bytes:
    b = flatbuffers.Builder(1024)
    buffers = [_buffer(b, None), *(_buffer(b, t.data) for t in tensors)]
    tensor_offsets = [_tensor(b, t, i + 1) for i, t in enumerate(tensors)]
    kinds = sorted({o.kind for o in operators})
    codes = [_code(b, kind) for kind in kinds]
    operator_offsets = [_operator(b, o, kinds) for o in operators]
    vectors = [_vector(b, tflite.SubGraphStartTensorsVector, tensor_offsets, b.PrependUOffsetTRelative),
               _vector(b, tflite.SubGraphStartInputsVector, inputs, b.PrependInt32),
               _vector(b, tflite.SubGraphStartOutputsVector, outputs, b.PrependInt32),
               _vector(b, tflite.SubGraphStartOperatorsVector, operator_offsets, b.PrependUOffsetTRelative)]
    tflite.SubGraphStart(b)
    for add, vector in zip((tflite.SubGraphAddTensors, tflite.SubGraphAddInputs, tflite.SubGraphAddOutputs,
                            tflite.SubGraphAddOperators), vectors, strict=True):
        add(b, vector)
    graph = tflite.SubGraphEnd(b)
    parts = [_vector(b, tflite.ModelStartOperatorCodesVector, codes, b.PrependUOffsetTRelative),
             _vector(b, tflite.ModelStartSubgraphsVector, [graph], b.PrependUOffsetTRelative),
             _vector(b, tflite.ModelStartBuffersVector, buffers, b.PrependUOffsetTRelative)]
    tflite.ModelStart(b)
    tflite.ModelAddVersion(b, 3)
    adders = (tflite.ModelAddOperatorCodes, tflite.ModelAddSubgraphs, tflite.ModelAddBuffers)
    for add, part in zip(adders, parts, strict=True):
        add(b, part)
    b.Finish(tflite.ModelEnd(b), file_identifier=b"TFL3")
    return bytes(b.Output())


def _vector(b, start, values, prepend):
    start(b, len(values))
    for value in reversed(values):
        prepend(value)
    return b.EndVector()


def _buffer(b, data):
    vector = None if data is None else b.CreateByteVector(np.ascontiguousarray(data).tobytes())
    tflite.BufferStart(b)
    if vector is not None:
        tflite.BufferAddData(b, vector)
    return tflite.BufferEnd(b)


def _tensor(b, t: T, buffer: int):
    name, quantisation = b.CreateString(t.name), None
    shape = _vector(b, tflite.TensorStartShapeVector, list(t.shape), b.PrependInt32)
    if t.scale is not None:
        scales = np.atleast_1d(t.scale).tolist()
        zeros = np.broadcast_to(t.zero_point, len(scales)).tolist()
        scale = _vector(b, tflite.QuantizationParametersStartScaleVector, scales, b.PrependFloat32)
        zero = _vector(b, tflite.QuantizationParametersStartZeroPointVector, zeros, b.PrependInt64)
        tflite.QuantizationParametersStart(b)
        tflite.QuantizationParametersAddScale(b, scale)
        tflite.QuantizationParametersAddZeroPoint(b, zero)
        tflite.QuantizationParametersAddQuantizedDimension(b, t.axis)
        quantisation = tflite.QuantizationParametersEnd(b)
    tflite.TensorStart(b)
    tflite.TensorAddName(b, name)
    tflite.TensorAddShape(b, shape)
    tflite.TensorAddType(b, TYPES[t.dtype])
    tflite.TensorAddBuffer(b, buffer)
    if quantisation is not None:
        tflite.TensorAddQuantization(b, quantisation)
    return tflite.TensorEnd(b)


def _code(b, kind: str):
    number = getattr(tflite.BuiltinOperator, kind)
    tflite.OperatorCodeStart(b)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(number, 127))
    tflite.OperatorCodeAddBuiltinCode(b, number)
    return tflite.OperatorCodeEnd(b)


def _operator(b, o: Op, kinds: list[str]):
    table, fields = o.options
    options = None
    if table:
        getattr(tflite, f"{table}Start")(b)
        for key, value in fields.items():
            getattr(tflite, f"{table}Add{key}")(b, value)
        options = getattr(tflite, f"{table}End")(b)
    inputs = _vector(b, tflite.OperatorStartInputsVector, o.inputs, b.PrependInt32)
    outputs = _vector(b, tflite.OperatorStartOutputsVector, o.outputs, b.PrependInt32)
    tflite.OperatorStart(b)
    tflite.OperatorAddOpcodeIndex(b, kinds.index(o.kind))
    tflite.OperatorAddInputs(b, inputs)
    tflite.OperatorAddOutputs(b, outputs)
    if options is not None:
        tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, table))
        tflite.OperatorAddBuiltinOptions(b, options)
    return tflite.OperatorEnd(b)
