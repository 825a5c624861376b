"""Single layers on the CPU, kernel by kernel: `python -m benchmarks.cpu_kernels [--form NAME...] [--json]`.

The layers of ResNet-18 and MobileNet-V2 as cpu_networks.py has them, int8 and float32, one thread: GMAC/s of each form of
machine code that this CPU can run, of the kernel alone, beside ONNX Runtime's QLinearConv and Conv where that is installed.
The shortest of many runs counts, since other programs slow a run down.
"""

import argparse
import ctypes
import importlib.util
import json
import time
from collections.abc import Callable

import numpy as np
from llvmlite import ir
from rich.console import Console
from rich.table import Table

from weft.compiler.cpu import operators
from weft.compiler.cpu.emit import emit
from weft.compiler.cpu.kernel import Kernel
from weft.compiler.cpu.layout import borders, inner_view
from weft.compiler.graph import Graph, Node, TensorType
from weft.isa.quantise import pack_lanes, quantise_multiplier
from weft.llvm.machine import Form, Loaded, choose, host_forms, object_code

from .cpu_networks import LAYERS

RUNS, BURST = 30, 3
ALIGNMENT, SLACK = 64, 256  # bytes: of arguments, and behind them
X_SCALE, W_SCALE, Y_SCALE = 0.02, 0.01, 0.5


def convolution(name: str, real: bool) -> Graph:
    """A layer of LAYERS as a graph of one node."""
    channels, size, filters, kernel, stride, groups = LAYERS[name]
    rng, dtype, pad, out = np.random.default_rng(0), "float32" if real else "int8", kernel // 2, -(-size // stride)
    graph = Graph(name, inputs=["x"], outputs=["y"])
    graph.tensors = {"x": TensorType((1, channels, size, size), dtype), "y": TensorType((1, filters, out, out), dtype)}
    shape = (filters, channels // groups, kernel, kernel)
    window = {"strides": (stride, stride), "pads": (pad,) * 4, "dilations": (1, 1)}
    if real:
        constants = [rng.standard_normal(shape).astype(np.float32), rng.standard_normal(filters).astype(np.float32)]
        attrs = window | {"group": groups, "kernel_shape": shape[2:], "minimum": 0.0}
    else:
        multiplier, shift = quantise_multiplier(X_SCALE * W_SCALE / Y_SCALE)
        constants = [rng.integers(-127, 128, shape).astype(np.int8),
                     pack_lanes(rng.integers(-1000, 1000, filters), multiplier, shift, 0, -128, 127)]
        attrs = window | {"groups": groups, "pad_value": 0}
    op = "Conv" if real else "depthwise_conv2d" if groups == channels else "conv2d"
    names = [graph.add_constant(f"c{k}", value) for k, value in enumerate(constants)]
    graph.nodes = [Node(name, op, ["x", *names], ["y"], attrs)]
    return graph


class Memory:
    """Bytes that begin at a multiple of 64, with some behind."""

    def __init__(self, size: int):
        self.whole = np.zeros(size + ALIGNMENT + SLACK, np.uint8)
        self.address = self.whole.ctypes.data + -self.whole.ctypes.data % ALIGNMENT


def compiled(graph: Graph, form: Form) -> tuple[Callable[[], None], float]:
    """A function that runs the node's kernel on one thread, and the seconds that it took to make, from nothing."""
    (node,), around = graph.nodes, borders(graph, graph.nodes)[0]
    views = {name: inner_view(graph, name, True, around.get(name)) for name in ("x", "y")}
    began = time.perf_counter()
    kernel: Kernel = operators.build(node, graph, views, form)[0]
    module = ir.Module("kernel")
    emit(kernel.program, "kernel", form, module)
    loaded = Loaded(object_code(module, form), form)
    seconds = time.perf_counter() - began
    memory = {name: Memory(view.offset + view.elements * view.itemsize) for name, view in views.items()}
    addresses = {name: memory[name].address + view.offset for name, view in views.items()}
    for name, value in kernel.constants.items():
        data = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        memory[name] = Memory(data.size)
        addresses[name] = memory[name].address
        ctypes.memmove(addresses[name], data.ctypes.data, data.size)
    arguments = [addresses[name] for name in kernel.program.arguments]
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(arguments), ctypes.c_int64, ctypes.c_int64)
    function = kind(loaded.address("kernel"))

    def run(_keep=(memory, loaded)):
        function(*arguments, 0, kernel.turns)
    return run, seconds


def onnx_runtime(graph: Graph, real: bool) -> Callable[[], object]:
    """The layer by ONNX Runtime, one thread: QLinearConv of uint8 and int8 by channels, or Conv and Relu."""
    import onnx
    import onnxruntime
    from onnx import helper, numpy_helper

    (node,), dtype = graph.nodes, np.dtype(np.float32 if real else np.uint8)
    w = graph.constants[node.inputs[1]]
    attrs = {key: node.attrs[key] for key in ("strides", "pads")}
    attrs["group"] = node.attrs["group" if real else "groups"]
    if real:
        given = {"w": w, "b": graph.constants[node.inputs[2]]}
        nodes = [helper.make_node("Conv", ["x", "w", "b"], ["sum"], **attrs), helper.make_node("Relu", ["sum"], ["y"])]
    else:
        given = {"xs": np.float32(X_SCALE), "xz": np.uint8(128), "w": w, "ws": np.full(len(w), W_SCALE, np.float32),
                 "wz": np.zeros(len(w), np.int8), "ys": np.float32(Y_SCALE), "yz": np.uint8(128),
                 "b": np.zeros(len(w), np.int32)}
        nodes = [helper.make_node("QLinearConv", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"], ["y"], **attrs)]
    kind = helper.np_dtype_to_tensor_dtype(dtype)
    ends = [helper.make_tensor_value_info(name, kind, graph.tensors[name].shape) for name in ("x", "y")]
    initial = [numpy_helper.from_array(np.asarray(value), name) for name, value in given.items()]
    model = helper.make_model(helper.make_graph(nodes, "layer", ends[:1], ends[1:], initial),
                              opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(1).integers(0, 256, graph.tensors["x"].shape).astype(dtype)
    return lambda: session.run(None, {"x": x})


def shortest(functions: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of a run of each, which take turns."""
    best = dict.fromkeys(functions, float("inf"))
    for _ in range(RUNS):
        for name, function in functions.items():
            function()  # brings its weights back into the caches
            for _ in range(BURST):
                began = time.perf_counter()
                function()
                best[name] = min(best[name], time.perf_counter() - began)
    return best


def measure(forms: list[Form]) -> list[dict]:
    """A row for each layer and dtype: MACs, and for each form and ONNX Runtime the seconds; compile_seconds by form."""
    rows = []
    for name in LAYERS:
        for real in (False, True):
            graph = convolution(name, real)
            made = {form.name: compiled(graph, form) for form in forms}
            functions = {key: run for key, (run, _) in made.items()}
            if importlib.util.find_spec("onnxruntime"):
                functions["onnx_runtime"] = onnx_runtime(graph, real)
            rows.append({"layer": name, "dtype": "float32" if real else "int8", "macs": graph.macs(graph.nodes[0]),
                         "seconds": shortest(functions),
                         "compile_seconds": {key: seconds for key, (_, seconds) in made.items()}})
    return rows


def table(rows: list[dict]) -> Table:
    """GMAC/s, and how many times as fast as ONNX Runtime the first form is."""
    shown = Table(title="kernels on one thread, GMAC/s; the shortest of runs that took turns", title_justify="left")
    columns = list(rows[0]["seconds"])
    for column in ("layer", "dtype", *(c.replace("onnx_runtime", "ONNX Runtime") for c in columns), "times as fast"):
        shown.add_column(column, justify="left" if column in ("layer", "dtype") else "right")
    for row in rows:
        seconds = row["seconds"]
        ratio = f"{seconds['onnx_runtime'] / seconds[columns[0]]:.2f}" if "onnx_runtime" in seconds else "-"
        shown.add_row(row["layer"], row["dtype"], *(f"{row['macs'] / seconds[c] / 1e9:.0f}" for c in columns), ratio)
    return shown


def main():
    parser = argparse.ArgumentParser(description="Single layers on the CPU, kernel by kernel.")
    parser.add_argument("--form", nargs="*", help=f"of {', '.join(form.name for form in host_forms())}; all by default")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = measure([choose(name) for name in options.form] if options.form else host_forms())
    print(json.dumps(rows, indent=1)) if options.json else Console(width=140).print(table(rows))


if __name__ == "__main__":
    main()
