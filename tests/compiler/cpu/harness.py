"""Runs a node's kernels for CPUs on arrays, in layouts of the test's choice."""

import ctypes
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from hypothesis import strategies as st
from llvmlite import ir

from weft.compiler.cpu import operators
from weft.compiler.cpu.emit import emit
from weft.compiler.cpu.kernel import Kernel, View, channels_last, plain
from weft.compiler.cpu.layout import inner_view
from weft.compiler.graph import Graph, Node, TensorType
from weft.llvm import machine
from weft.runtime import kernels as meanings

FORMS = machine.host_forms()
GARBAGE = 0xA5
SLACK = 64
BIAS = 128


def graph_of(op: str, inputs: Mapping[str, np.ndarray], attrs: dict, constants: Mapping[str, np.ndarray] | None = None,
             order: tuple[str, ...] | None = None) -> Graph:
    """A graph of one node, whose outputs' types are those of its meaning."""
    graph = Graph("test", inputs=list(inputs))
    for name, value in inputs.items():
        graph.tensors[name] = TensorType(value.shape, value.dtype.name)
    for name, value in (constants or {}).items():
        graph.add_constant(name, value)
    names = list(order or (*inputs, *(constants or {})))
    values = {**inputs, **graph.constants}
    results = meanings.run(op, attrs, *(values[name] if name else None for name in names))
    graph.outputs = [f"y{k}" for k in range(len(results))]
    for name, value in zip(graph.outputs, results):
        graph.tensors[name] = TensorType(value.shape, value.dtype.name)
    graph.nodes = [Node("node", op, names, list(graph.outputs), attrs, "cpu")]
    graph.validate()
    return graph


def inside(graph: Graph, name: str, image: bool = True) -> View:
    """Where the planner would put it within a program."""
    return inner_view(graph, name, image and len(graph.tensors[name].shape) == 4, None)


def outside(graph: Graph, name: str) -> View:
    """Where the caller has it."""
    return plain(graph.tensors[name].dtype, graph.tensors[name].shape)


class Memory:
    """A tensor's memory: its view begins `view.offset` bytes behind the first."""

    def __init__(self, view: View, dtype: str, pad: float | None = None):
        self.view, self.lift = view, BIAS if dtype == "int8" and view.dtype == "uint8" else 0
        self.bytes = np.full(view.offset + view.elements * view.itemsize + SLACK, GARBAGE, np.uint8)
        self.dtype = dtype
        if pad is not None:
            whole = [size + low + high for size, (low, high) in zip(view.shape, view.around)]
            self._array(view.offset - view.before * view.itemsize, whole)[...] = np.array(pad + self.lift).astype(view.dtype)

    def _array(self, offset: int, shape) -> np.ndarray:
        size = (self.bytes.size - offset) // self.view.itemsize * self.view.itemsize
        values = self.bytes[offset:offset + size].view(self.view.dtype)
        return np.lib.stride_tricks.as_strided(values, shape, [s * self.view.itemsize for s in self.view.strides])

    @property
    def logical(self) -> np.ndarray:
        return self._array(self.view.offset, self.view.shape)

    def fill(self, values: np.ndarray):
        if self.lift:
            values = (values.astype(np.int32) + self.lift).astype(self.view.dtype)
        self.logical[...] = values.view(self.view.dtype)

    def read(self) -> np.ndarray:
        if not self.lift:
            return self.logical.view(self.dtype).copy()
        return (self.logical.astype(np.int32) - self.lift).astype(self.dtype)

    @property
    def address(self) -> int:
        return self.bytes.ctypes.data + self.view.offset


@lru_cache(maxsize=256)
def _loaded(text: str, form: machine.Form) -> machine.Loaded:
    return machine.Loaded(machine.object_code(text, form), form)


def call(kernel: Kernel, addresses: Mapping[str, int], form: machine.Form, parts: int = 1) -> None:
    """Runs a kernel, its turns in so many parts."""
    module = ir.Module("test")
    emit(kernel.program, "kernel", form, module)
    loaded, names = _loaded(str(module), form), list(kernel.program.arguments)
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(names), ctypes.c_int64, ctypes.c_int64)
    function = kind(loaded.address("kernel"))
    cuts = [kernel.turns * k // parts for k in range(parts + 1)]
    for begin, end in zip(cuts, cuts[1:]):
        function(*(addresses[name] for name in names), begin, end)


def run(graph: Graph, inputs: Mapping[str, np.ndarray], views: Mapping[str, View], form: machine.Form = FORMS[0],
        parts: int = 1, pads: Mapping[str, float] | None = None) -> list[np.ndarray]:
    """Outputs of a graph of one node. pads: what borders hold, as the graph stores it."""
    (node,) = graph.nodes
    assert operators.why_not(node, graph) == ""
    memory = {name: Memory(view, graph.tensors[name].dtype, (pads or {}).get(name)) for name, view in views.items()}
    for name, value in inputs.items():
        memory[name].fill(value)
    working: dict[str, np.ndarray] = {}
    for kernel in operators.build(node, graph, views, form):
        for name, buffer in kernel.program.arguments.items():
            if name not in memory and name not in kernel.constants and name not in working:
                working[name] = np.full(int(np.prod(buffer.shape)) * 8 + SLACK, GARBAGE, np.uint8)
        constants = {name: np.frombuffer(np.ascontiguousarray(value).tobytes() + bytes(SLACK), np.uint8)
                     for name, value in kernel.constants.items()}
        addresses = {name: array.ctypes.data for name, array in (*working.items(), *constants.items())}
        call(kernel, {**{name: m.address for name, m in memory.items()}, **addresses}, form, parts)
    return [memory[name].read() for name in graph.outputs]


def meaning(graph: Graph, inputs: Mapping[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """What NumPy makes of it."""
    (node,) = graph.nodes
    values = {**inputs, **graph.constants}
    return meanings.run(node.op, node.attrs, *(values[name] if name else None for name in node.inputs))


def views_of(graph: Graph, layout=inside) -> dict[str, View]:
    """A view for each tensor that is no constant."""
    (node,) = graph.nodes
    return {name: layout(graph, name) for name in (*node.inputs, *node.outputs) if name and name not in graph.constants}


def shapes(low: int = 1, high: int = 4, most: int = 20) -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(st.integers(1, most), min_size=low, max_size=high).map(tuple)


def reals(rng: np.random.Generator, shape, scale: float = 3.0) -> np.ndarray:
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def integers(rng: np.random.Generator, shape, dtype: str = "int8") -> np.ndarray:
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max + 1, shape).astype(dtype)


__all__ = ["FORMS", "channels_last", "graph_of", "inside", "integers", "meaning", "outside", "plain", "reals", "run",
           "shapes", "views_of"]
