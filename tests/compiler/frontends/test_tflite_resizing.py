"""TFLite's operators that make images larger or smaller, through the importer and all passes, against LiteRT where it is
installed."""

import numpy as np
import pytest
import tflite

from weft.compiler import graph_passes, pipeline, reference
from weft.compiler.frontends import tflite as frontend
from weft.isa import DEFAULT

from .flatbuffer import Op, T, build

SAME, VALID = tflite.Padding.SAME, tflite.Padding.VALID
SOURCE, SIZE = ("x", (1, 6, 5, 8), "int8", 0.05, -4), (6, 5)


def transposed(padding: int, stride: int, kernel: int, out: tuple[int, int]) -> bytes:
    rng = np.random.default_rng(kernel)
    scale = rng.uniform(0.002, 0.01, 7).astype(np.float32)
    shape = T("shape", (4,), "int32", data=np.int32([1, *out, 7]))
    w = T("w", (7, kernel, kernel, 8), "int8", scale, 0, 0, rng.integers(-127, 128, (7, kernel, kernel, 8)).astype(np.int8))
    b = T("b", (7,), "int32", scale * np.float32(0.05), 0, 0, rng.integers(-900, 900, 7).astype(np.int32))
    y = T("y", (1, *out, 7), "int8", 0.2, 5)
    options = {"Padding": padding, "StrideH": stride, "StrideW": stride}
    return build([T(*SOURCE), shape, w, b, y], [Op("TRANSPOSE_CONV", [1, 2, 0, 3], [4], ("TransposeConvOptions", options))],
                 [0], [4])


def resized(kind: str, table: str, out: tuple[int, int], corners: bool, half: bool) -> bytes:
    size = T("size", (2,), "int32", data=np.int32(out))
    y = T("y", (1, *out, 8), "int8", 0.05, -4)
    options = {"AlignCorners": corners, "HalfPixelCenters": half}
    return build([T(*SOURCE), size, y], [Op(kind, [0, 1], [2], (table, options))], [0], [2])


def blocks(kind: str, table: str, shape: tuple[int, ...]) -> bytes:
    y = T("y", shape, "int8", 0.05, -4)
    x = T("x", (1, 6, 4, 8), "int8", 0.05, -4)
    return build([x, y], [Op(kind, [0], [1], (table, {"BlockSize": 2}))], [0], [1])


MODELS = {f"transposed {out}": transposed(padding, stride, kernel, out) for padding, stride, kernel, out in (
    (SAME, 2, 3, (12, 10)), (SAME, 2, 4, (11, 10)), (VALID, 2, 3, (13, 11)), (VALID, 3, 2, (17, 14)), (SAME, 1, 3, SIZE))}
for _corners, _half in ((False, False), (True, False), (False, True)):
    _way = "corners" if _corners else "half" if _half else "plain"
    _out = (11, 9) if _corners else (12, 15)
    MODELS[f"nearest {_way}"] = resized("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions", _out, _corners, _half)
    MODELS[f"bilinear {_way}"] = resized("RESIZE_BILINEAR", "ResizeBilinearOptions", (11, 9) if _corners else (12, 10),
                                         _corners, _half)
MODELS["depth to space"] = blocks("DEPTH_TO_SPACE", "DepthToSpaceOptions", (1, 12, 8, 2))
MODELS["space to depth"] = blocks("SPACE_TO_DEPTH", "SpaceToDepthOptions", (1, 3, 2, 32))


def placed(name: str):
    return graph_passes.run(frontend.load(MODELS[name], "net"), DEFAULT)


def image(graph) -> np.ndarray:
    return np.random.default_rng(1).integers(-128, 128, graph.tensors["x"].shape).astype(np.int8)


@pytest.mark.parametrize("name", MODELS)
def test_it_runs_on_the_accelerator(name):
    graph = placed(name)
    assert {n.op for n in graph.nodes if n.where == "host"} <= {"transpose", "reshape"}
    assert pipeline.build(graph, DEFAULT).run(image(graph))[1].bit_exact


@pytest.mark.parametrize("name", MODELS)
def test_against_litert(name):
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    interpreter = litert.Interpreter(model_content=MODELS[name],
                                     experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    graph = placed(name)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image(graph))
    interpreter.invoke()
    expected = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    units = np.abs(reference.run(graph, {"x": image(graph)})[graph.outputs[0]].astype(int) - expected)
    assert units.max() <= (0 if "transposed" not in name and "bilinear" not in name else 1)
    assert (units == 0).mean() >= 0.99, f"{(units > 0).mean():.1%} differ"
