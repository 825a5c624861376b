"""From a run of nodes to one function of machine code for each form: `build(graph, nodes, outputs, forms)`.

    void f(ptr arena, ptr constants, ptr io, i64 thread, i64 threads, ptr block)

io: addresses of the inputs, then of the outputs. A phase is a kernel, with the borders of what its node makes: a slice of it
is a part of the turns of the kernel's outermost loop, and of the borders. Kernels that are equal but for names are one
function. How threads share slices and meet: weft.llvm.threads. """

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from llvmlite import ir

from weft.llvm import machine, threads
from weft.llvm.machine import Form
from weft.runtime.stored import Stored

from ..arena import Buffer, arrange, peak
from ..graph import Graph, Node
from . import identity, operators, stored
from .emit import emit
from .kernel import Kernel
from .layout import Fill
from .plan import SLACK, Plan, plan

ALIGNMENT = 64  # of constants, bytes
Told = Callable[[int, str], None]  # (position in the nodes, name of the one that is compiled)


@dataclass(frozen=True)
class Program:
    """What a run of nodes became. inputs, outputs: names, in the order of io. layers: for each phase a position in the
    nodes. constants: uint8. stored: where constants of the graph lie among them, of those that do. code: by form, object
    files by the symbols that they define; the function's is `symbol` in each."""

    symbol: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    arena_size: int
    constants: np.ndarray
    layers: np.ndarray
    stored: dict[str, Stored]
    code: dict[str, dict[str, bytes]]


class Constants:
    """One blob of all constants, each once."""

    def __init__(self):
        self.blob, self.places = bytearray(), {}

    def place(self, value: np.ndarray) -> int:
        """The constant's offset."""
        data = np.ascontiguousarray(value).tobytes()
        if data not in self.places:
            self.blob.extend(bytes(-len(self.blob) % ALIGNMENT))
            self.places[data] = len(self.blob)
            self.blob.extend(data)
        return self.places[data]

    def array(self) -> np.ndarray:
        return np.frombuffer(bytes(self.blob) + bytes(SLACK), np.uint8)


def build(graph: Graph, nodes: Sequence[Node], outputs: Iterable[str], forms: Sequence[Form],
          told: Told = lambda position, name: None) -> Program:
    """Machine code for a run of nodes, all of which `operators.why_not` allows.

    Parameters
    ----------
    outputs: the tensors made here that are read afterwards.
    forms: those to make code for; constants are shared by all.
    told: called before each node is compiled, once for all forms.
    """
    planned, constants = plan(graph, nodes, outputs), Constants()
    code: dict[str, dict[str, bytes]] = {form.name: {} for form in forms}
    kernels: dict[str, list[list[Kernel]]] = {form.name: [] for form in forms}
    symbols: dict[str, list[list[str]]] = {form.name: [] for form in forms}
    for position, node in zip(planned.makers, planned.nodes):
        told(position, node.name)
        views = {name: planned.views[name] for name in (*node.inputs, *node.outputs) if name in planned.views}
        for form in forms:
            made = operators.build(node, planned.graph, views, form)
            kernels[form.name].append(made)
            symbols[form.name].append([_compiled(kernel, form, code[form.name]) for kernel in made])
    offsets, size = arena(planned, kernels)
    mains = {form.name: _Main(planned, kernels[form.name], symbols[form.name], offsets, constants).text() for form in forms}
    symbol = _symbol("".join(mains.values()))
    for form in forms:
        text = mains[form.name].replace("@network(", f"@{symbol}(") + threads.barrier(form.triple)
        code[form.name][symbol] = machine.object_code(text, form)
    layers = [[k for k, of_node in zip(planned.makers, of_form) for _ in of_node] for of_form in kernels.values()]
    assert all(of_form == layers[0] for of_form in layers), "a node has as many kernels on every form"
    return Program(symbol, planned.inputs, planned.outputs, size, constants.array(), np.array(layers[0], np.int32),
                   _stored(planned, kernels[forms[0].name], constants), code)


def _stored(planned: Plan, kernels: list[list[Kernel]], constants: Constants) -> dict[str, Stored]:
    """Where the graph's constants lie among the program's, as far as they do."""
    known, found = planned.graph.constants, {}
    for node, of_node in zip(planned.nodes, kernels):
        for name in dict.fromkeys(name for name in node.inputs if name in known):
            packed = (value for kernel in of_node for value in kernel.constants.values())
            made = next(filter(None, (stored.find(known[name], value, constants.place(value)) for value in packed)), None)
            if made is not None:
                found.setdefault(name, made)
    return found


def _symbol(text: str) -> str:
    return f"weft_{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _compiled(kernel: Kernel, form: Form, code: dict[str, bytes]) -> str:
    """The symbol of a kernel, whose object file is in `code` then."""
    symbol = _symbol(identity.text(kernel.program))
    if symbol not in code:
        code[symbol] = machine.cached("kernel", (identity.SOURCES, symbol, form), lambda: _object_file(kernel, form, symbol))
    return symbol


def _object_file(kernel: Kernel, form: Form, symbol: str) -> bytes:
    module = ir.Module("kernel")
    emit(kernel.program, symbol, form, module)
    return machine.optimised(module, machine.target_machine(form))


def arena(planned: Plan, kernels: Mapping[str, list[list[Kernel]]]) -> tuple[dict[str, int], int]:
    """Offsets of all that lies in the arena, and its size. What a kernel takes that is no tensor of the graph and no
    constant is working memory of its node."""
    sizes: dict[tuple[int, str], int] = {}
    for of_form in kernels.values():
        for position, of_node in enumerate(of_form):
            for kernel in of_node:
                for name, buffer in kernel.program.arguments.items():
                    if name not in planned.views and name not in kernel.constants:
                        size = int(np.prod(buffer.shape)) * np.dtype(buffer.dtype).itemsize
                        sizes[position, name] = max(sizes.get((position, name), 0), size)
    extra = [Buffer(working(position, name), "activation", (), position, position, size + SLACK)
               for (position, name), size in sizes.items()]
    buffers = [*planned.buffers, *extra]
    offsets = arrange(buffers)
    return offsets, peak(buffers, offsets)


def working(position: int, name: str) -> str:
    return f"{position}:{name}"


class _Main:
    """The text of the network function, called `network` still."""

    def __init__(self, planned: Plan, kernels: list[list[Kernel]], symbols: list[list[str]], offsets: dict[str, int],
                 constants: Constants):
        self.planned, self.kernels, self.symbols = planned, kernels, symbols
        self.offsets, self.constants = offsets, constants
        self.caller = {name: k for k, name in enumerate((*planned.inputs, *planned.outputs))}
        self.lines: list[str] = []
        self.count = 0

    def text(self) -> str:
        works: list[str] = []
        for position, (of_node, symbols) in enumerate(zip(self.kernels, self.symbols)):
            for index, (kernel, symbol) in enumerate(zip(of_node, symbols)):
                self.lines, self.count = [], 0
                if index == 0:
                    self._fills(self.planned.nodes[position])
                self._call(position, kernel, symbol)
                works += [_WORK.format(number=len(works) + 1, body="\n".join(self.lines))]
        declared = {symbol: len(kernel.program.arguments) for of_node, names in zip(self.kernels, self.symbols)
                    for kernel, symbol in zip(of_node, names)}
        declarations = [f"declare void @{symbol}({'ptr, ' * count}i64, i64)" for symbol, count in declared.items()]
        phases = [_PHASE.format(number=k + 1) for k in range(len(works))]
        return "\n".join([*declarations, _FILL, *works, _NETWORK.format(phases="\n".join(phases))])

    def _value(self, instruction: str) -> str:
        self.count += 1
        self.lines.append(f"  %v{self.count} = {instruction}")
        return f"%v{self.count}"

    def _call(self, position: int, kernel: Kernel, symbol: str) -> None:
        addresses = [self._address(position, name, kernel) for name in kernel.program.arguments]
        begin, end = self._slice(kernel.turns)
        pointers = "".join(f"ptr {address}, " for address in addresses)
        self.lines.append(f"  call void @{symbol}({pointers}i64 {begin}, i64 {end})")

    def _slice(self, turns: int) -> tuple[str, str]:
        """The slice's part of so many turns."""
        first = self._value(f"mul i64 %slice, {turns}")
        last = self._value(f"add i64 {first}, {turns}")
        return tuple(self._value(f"udiv i64 {product}, %slices") for product in (first, last))

    def _address(self, position: int, name: str, kernel: Kernel) -> str:
        """Of the value at (0, 0, ..) of an argument."""
        if name in kernel.constants:
            return self._at("%constants", self.constants.place(kernel.constants[name]))
        if name not in self.planned.views:
            return self._at("%arena", self.offsets[working(position, name)])
        view = self.planned.views[name]
        if name not in self.caller:
            return self._at("%arena", self.offsets[name] + view.offset)
        place = self._value(f"getelementptr ptr, ptr %io, i64 {self.caller[name]}")
        return self._at(self._value(f"load ptr, ptr {place}"), view.offset)

    def _at(self, base: str, offset: int) -> str:
        return self._value(f"getelementptr i8, ptr {base}, i64 {offset}")

    def _fills(self, node: Node) -> None:
        for name in node.outputs:
            for fill in self.planned.fills.get(name, ()):
                self._fill(self._at("%arena", self.offsets[name] + fill.offset), fill)

    def _fill(self, address: str, fill: Fill) -> None:
        total = fill.counts[0] * fill.counts[1]
        if not total or not fill.words:
            return
        begin, end = self._slice(total)
        self.lines.append(f"  call void @fill(ptr {address}, i64 {fill.words}, i64 {fill.counts[1]}, i64 {fill.steps[0]}, "
                          f"i64 {fill.steps[1]}, i32 {fill.pattern}, i64 {begin}, i64 {end})")


_WORK = """
define internal void @work{number}(ptr %arena, ptr %constants, ptr %io, i64 %slice, i64 %slices) {{
{body}
  ret void
}}
"""
_PHASE = """  call void @phase(ptr %block, ptr @work{number}, ptr %arena, ptr %constants, ptr %io, i64 %thread, i64 %threads,
    i32 {number})
  call void @tick(ptr %block, i64 %thread, i64 {number})"""
_NETWORK = """
define void @network(ptr %arena, ptr %constants, ptr %io, i64 %thread, i64 %threads, ptr %block) {{
  call void @tick(ptr %block, i64 %thread, i64 0)
{phases}
  call void @finish(ptr %block, i64 %threads)
  ret void
}}
"""
# Writes `words` times the pattern at address + k / inner * step0 + k % inner * step1, for k from begin to below end.
_FILL = """
define internal void @fill(ptr %address, i64 %words, i64 %inner, i64 %step0, i64 %step1, i32 %pattern, i64 %begin,
                           i64 %end) noinline {
  br label %head
head:
  %k = phi i64 [ %begin, %0 ], [ %k1, %next ]
  %more = icmp slt i64 %k, %end
  br i1 %more, label %row, label %done
row:
  %i = udiv i64 %k, %inner
  %j = urem i64 %k, %inner
  %x = mul i64 %i, %step0
  %y = mul i64 %j, %step1
  %at = add i64 %x, %y
  %first = getelementptr i8, ptr %address, i64 %at
  br label %word
word:
  %w = phi i64 [ 0, %row ], [ %w1, %word ]
  %here = getelementptr i32, ptr %first, i64 %w
  store i32 %pattern, ptr %here, align 1
  %w1 = add i64 %w, 1
  %left = icmp slt i64 %w1, %words
  br i1 %left, label %word, label %next
next:
  %k1 = add i64 %k, 1
  br label %head
done:
  ret void
}
"""
