"""Shape arithmetic of ONNX models, computed before import: exporters write `Reshape(x, Concat(Gather(Shape(x))))`."""

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

WHOLE = (onnx.TensorProto.INT64, onnx.TensorProto.INT32, onnx.TensorProto.BOOL)


def fold_shapes(model: onnx.ModelProto) -> bool:
    """Makes initializers of the nodes that compute whole numbers from constants and known shapes; whether it found any."""
    graph = model.graph
    constants = {t.name: t for t in graph.initializer}
    values = {v.name: v.type.tensor_type for v in (*graph.input, *graph.value_info, *graph.output)}
    outputs = {o.name for o in graph.output}
    folded = []
    for node in graph.node:
        if not outputs.intersection(node.output):
            made = _fold(node, constants, values, model.opset_import)
            if made is not None:
                constants[made.name] = made
                folded.append((node, made))
    for node, made in folded:
        graph.node.remove(node)
        graph.initializer.append(made)
    return bool(folded)


def _fold(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto], values: dict, opsets) -> onnx.TensorProto | None:
    """The value of the node's one output, where it can be known now and is whole numbers."""
    if node.domain not in ("", "ai.onnx") or len(node.output) != 1:
        return None
    output = values.get(node.output[0])
    if output is None or output.elem_type not in WHOLE:
        return None
    if node.op_type == "Shape":
        shape = _known_shape(values.get(node.input[0]))
        if shape is None:
            return None
        attrs = {a.name: a.i for a in node.attribute}
        return numpy_helper.from_array(np.array(shape[attrs.get("start", 0):attrs.get("end")], np.int64), node.output[0])
    if any(name and name not in constants for name in node.input):
        return None
    feeds = {name: numpy_helper.to_array(constants[name]) for name in node.input if name}
    inputs = [helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for k, v in feeds.items()]
    wanted = helper.make_tensor_value_info(node.output[0], output.elem_type, None)
    model = helper.make_model(helper.make_graph([node], "fold", inputs, [wanted]), opset_imports=opsets)
    return numpy_helper.from_array(np.asarray(ReferenceEvaluator(model).run(None, feeds)[0]), node.output[0])


def _known_shape(tensor) -> tuple[int, ...] | None:
    if tensor is None or not tensor.HasField("shape") or any(not d.HasField("dim_value") for d in tensor.shape.dim):
        return None
    return tuple(d.dim_value for d in tensor.shape.dim)
