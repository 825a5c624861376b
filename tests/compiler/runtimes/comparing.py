"""One network in another runtime and in the integer reference, on the same stored inputs: how many units apart they are.

onnxruntime and ai-edge-litert come with the extra `compare`. `make acceptance` installs them and fails without.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import onnx
from onnx import helper

from weft.compiler import frontends, graph_passes, reference
from weft.compiler.graph import Graph
from weft.isa import DEFAULT

# ORT_ENABLE_ALL fuses QDQ into int8 kernels; ORT_DISABLE_ALL computes each operator in float32, as ONNX defines QDQ
ONNX_RUNTIME = {"ONNX Runtime": "ORT_ENABLE_ALL", "ONNX Runtime, unfused": "ORT_DISABLE_ALL"}
# AUTO gives XNNPACK what it takes; the others are TFLite's own kernels, fast and plain
LITERT = {
    "LiteRT": "AUTO",
    "LiteRT without XNNPACK": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "LiteRT reference": "BUILTIN_REF",
}
TFLITE = b"TFL3"


@dataclass(frozen=True)
class Case:
    """A network of one operator.

    family: the line of docs/numerics.md that it belongs to.
    ties: "" for scales as a calibration gives them. Else many results lie exactly between two units: with "rule" ONNX's
    definition or TFLite's reference kernels decide these by their rule, with "noise" by what their arithmetic loses.
    "coarse": the runtime's kernels round twice, or multiply by a few bits only, and differ from one another as much.
    """

    name: str
    family: str
    data: bytes
    ties: str = ""

    @property
    def is_tflite(self) -> bool:
        return self.data[4:8] == TFLITE

    @property
    def runtimes(self) -> tuple[str, ...]:
        return tuple(LITERT if self.is_tflite else ONNX_RUNTIME)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Apart:
    """values: how many were compared; differing: how many of them differ; most: by how many units at most."""

    values: int
    differing: int
    most: int

    def __add__(self, other: "Apart") -> "Apart":
        return Apart(self.values + other.values, self.differing + other.differing, max(self.most, other.most))

    @property
    def equal(self) -> float:
        return 1 - self.differing / self.values


NONE = Apart(0, 0, 0)


def compare(case: Case, runtime: str, images: int = 8) -> Apart:
    """How far the reference is from the runtime on some random inputs that use all of int8."""
    graph = placed(case)
    theirs = session(case.data, runtime)
    total = NONE
    for inputs in random_inputs(graph, images):
        actual = list(reference.run(graph, inputs).values())
        for ours, other in zip(actual, theirs(inputs), strict=True):
            assert ours.dtype == other.dtype and ours.size == other.size, case.name
            apart = np.abs(ours.reshape(-1).astype(int) - other.reshape(-1).astype(int))
            total += Apart(apart.size, int((apart > 0).sum()), int(apart.max()))
    return total


@cache
def placed(case: Case) -> Graph:
    if case.is_tflite:
        return graph_passes.run(frontends.tflite.load(case.data, "case"), DEFAULT)
    return graph_passes.run(frontends.onnx.load(case.data, "case"), DEFAULT)


def random_inputs(graph: Graph, images: int) -> Iterator[dict[str, np.ndarray]]:
    for seed in range(images):
        rng = np.random.default_rng(seed)
        yield {
            name: rng.integers(*_limits(graph.tensors[name].dtype), graph.tensors[name].shape).astype(
                graph.tensors[name].dtype
            )
            for name in graph.inputs
        }


def _limits(dtype: str) -> tuple[int, int]:
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max) + 1


def session(data: bytes, runtime: str):
    """A function from inputs by name to the outputs in order."""
    return _litert(data, LITERT[runtime]) if runtime in LITERT else _onnx_runtime(data, ONNX_RUNTIME[runtime])


def _onnx_runtime(data: bytes, level: str):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    made = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return lambda inputs: made.run(None, inputs)


def _litert(data: bytes, resolver: str):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    made = Interpreter(model_content=data, num_threads=1, experimental_op_resolver_type=getattr(OpResolverType, resolver))
    made.allocate_tensors()

    def run(inputs):
        for detail in made.get_input_details():
            made.set_tensor(detail["index"], inputs[detail["name"]])
        made.invoke()
        return [made.get_tensor(detail["index"]) for detail in made.get_output_details()]

    return run


def stored_edges(model: onnx.ModelProto) -> bytes:
    """A QDQ model whose inputs and outputs are the stored numbers: the quantisers at its edge are left out."""
    graph = model.graph
    inputs = {v.name for v in graph.input}
    edge = [n for n in graph.node if n.op_type == "QuantizeLinear" and n.input[0] in inputs]
    last = {
        n.output[0]: n
        for n in graph.node
        if n.op_type == "DequantizeLinear" and n.output[0] in {v.name for v in graph.output}
    }
    zeros = {t.name: t.data_type for t in graph.initializer}
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in graph.input}
    made = [helper.make_tensor_value_info(n.output[0], zeros[n.input[2]], shapes[n.input[0]]) for n in edge]
    ends = [helper.make_tensor_value_info(n.input[0], zeros[n.input[2]], None) for n in last.values()]
    kept = [n for n in graph.node if n not in edge and n not in last.values()]
    stored = helper.make_model(
        helper.make_graph(kept, graph.name, made, ends, graph.initializer), opset_imports=model.opset_import
    )
    stored.ir_version = model.ir_version
    return onnx.shape_inference.infer_shapes(stored).SerializeToString()
