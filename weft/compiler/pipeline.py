"""From a model file to a module: the stages of the compiler in the order in which a network passes them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from weft.isa import Config, WeftError, encode
from weft.llvm.machine import Form
from weft.runtime.module import CpuFunction, GpuFunction, GpuStep, Launch, Module, Operator, TensorInfo
from weft.runtime.stored import Stored
from weft.runtime.validate import static_findings

from . import codegen, frontends, graph_passes, memory, passes, slow, targets
from .graph import Graph
from .stmt import LoopProgram

Progress = Callable[[int, int, str], None]
LAST_STEPS = 1  # of progress, behind those of the operators: the static check


def pass_names() -> list[str]:
    """What `--print-after` takes, in order: stages of the graph, then of each operator's loop program, then of the
    stream."""
    of_graphs = [p.name for p in (*graph_passes.for_targets(("accel", "cpu")), *graph_passes.for_targets(("cpu",)),
                                   *graph_passes.for_targets(("gpu",)))]
    names = ["import", *of_graphs, "memory", "lower", *(p.name for p in passes.PASSES),
             "instructions"]
    return list(dict.fromkeys(names))


def compile(model: "str | Path | Graph", config: Config, *, target: str | None = None, cpu: str | None = None,
            virtual_threads: int = 2, print_after: str | None = None, show: Callable[[str], None] = print,
            progress: Progress = lambda done, total, name: None) -> Module:
    """Compiles a network for a machine.

    Parameters
    ----------
    model: what `frontends.load` takes (ONNX, TFLite, torch.export; int8 for the accelerator), or a Graph as a frontend makes it.
    target: where it may run, as `targets.parse` takes it. cpu: what machine code to make, as `targets.forms` takes it.
    virtual_threads: 1 or 2; with 2, loads and stores of one tile run beside the computation of the other, and operators that
        multiply little may take 4.
    print_after: name of a stage (`pass_names()`); its program goes to `show`.
    progress: told (steps done, steps in all, name of the one that begins): a step for each operator, and the static check.

    Raises
    ------
    WeftError: for a model that cannot be imported, an operator that nothing can run, or a tile that does not fit.
    """
    if virtual_threads not in (1, 2):
        raise WeftError("virtual_threads", "it must be 1 or 2", str(virtual_threads), "2, to overlap memory and computation")
    if print_after is not None and print_after not in pass_names():
        raise WeftError(f"pass '{print_after}'", f"a pass is one of {', '.join(pass_names())}", repr(print_after),
                        "one of these")

    def after(name: str, program) -> None:
        if name == print_after:
            show(str(program))

    where = targets.parse(target)
    forms = targets.forms(cpu) if cpu is not None or "cpu" in where else []
    graph = model if isinstance(model, Graph) else frontends.load(model)
    after("import", graph)
    graph = graph_passes.run(graph, config, after, graph_passes.for_targets(where))
    return build(graph, config, forms=forms, virtual_threads=virtual_threads, after=after, progress=progress)


@dataclass(frozen=True)
class Placement:
    """What would run where: a module's description without its code. Fields as of Module."""

    name: str
    config: Config
    operators: list[Operator]
    tensors: dict[str, TensorInfo]
    inputs: list[str]
    outputs: list[str]

    @property
    def macs(self) -> int:
        return sum(o.macs for o in self.operators)


def place(model: "str | Path | Graph", config: Config, target: str | None = None) -> Placement:
    """What `compile` would put where, and why; it generates no code. Arguments and errors as of `compile`."""
    where = targets.parse(target)
    graph = model if isinstance(model, Graph) else frontends.load(model)
    graph = graph_passes.run(graph, config, passes=graph_passes.for_targets(where))
    cycles = {node.outputs[0]: slow.build(node, graph, config, 2)[1] for node in graph.nodes if node.where == "accel"}
    described = _described(graph, slow.notes(graph, config, cycles))
    return Placement(graph.name, config, *described, list(graph.inputs), list(graph.outputs))


def _described(graph: Graph, notes: Mapping[str, str]) -> tuple[list[Operator], dict[str, TensorInfo]]:
    """Operators and tensors as a module lists them. notes: on operators of the accelerator, by their first outputs."""
    made = [Operator(n.name, n.op, tuple(n.inputs), tuple(n.outputs), n.attrs, n.where,
                     n.reason or notes.get(n.outputs[0], ""),
                     int(graph.macs(n))) for n in graph.nodes]
    return made, {name: TensorInfo(tuple(map(int, t.shape)), t.dtype, *_scalar(t)) for name, t in graph.tensors.items()}


def build(graph: Graph, config: Config, *, forms: Sequence[Form] | None = None, virtual_threads: int = 2,
          after: Callable[[str, object], None] = lambda name, program: None,
          progress: Progress = lambda done, total, name: None) -> Module:
    """A module from a graph that is legalised and placed already: the second half of `compile`. forms: of machine code for its
    operators on the CPU, None for those of this CPU's architecture."""
    return _Builder(graph, config, targets.forms() if forms is None else forms, virtual_threads, after, progress).build()


class _Builder:
    """Lays out DRAM and generates the launches and the machine code of a placed graph."""

    def __init__(self, graph: Graph, config: Config, forms: Sequence[Form], virtual_threads: int, after: Callable,
                 progress: Progress):
        self.graph, self.config, self.forms, self.virtual_threads = graph, config, forms, virtual_threads
        self.after, self.progress = after, progress
        self.plan = memory.plan(graph, config)
        after("memory", self.plan)
        # (byte offset, bytes) of what the image holds from the beginning
        self.parts: list[tuple[int, np.ndarray]] = [(0, memory.constants_image(graph, config, self.plan))]
        self.end = memory.aligned(self.plan.size)
        self.cycles: dict[str, float] = {}  # estimates, by the nodes' first outputs

    def build(self) -> Module:
        launches = [self._launch(segment) for segment in self._segments("accel", ("host", "cpu", "gpu"))]
        functions, code, stored = self._functions(self._segments("cpu", ("host", "accel", "gpu")))
        gpu_functions = [self._gpu_function(segment) for segment in self._segments("gpu", ("host", "accel", "cpu"))]
        image = np.zeros(max((at + data.size for at, data in self.parts), default=0), np.uint8)
        for at, data in self.parts:
            image[at:at + data.size] = data
        module = self._module(image, launches)
        module.functions, module.code, module.stored, module.gpu_functions = functions, code, stored, gpu_functions
        nodes = len(self.graph.nodes)
        self.progress(nodes, nodes + LAST_STEPS, "static check")
        self._check(module)
        self.progress(nodes + LAST_STEPS, nodes + LAST_STEPS, "")
        return module

    def _segments(self, where: str, others: tuple[str, ...]) -> list[list[int]]:
        """Runs of nodes of one place with none of the others between; of the accelerator's each becomes one launch, in which
        layers overlap, of the CPU's and of the GPU's one function."""
        segments: list[list[int]] = [[]]
        for index, node in enumerate(self.graph.nodes):
            if node.where == where:
                segments[-1].append(index)
            elif node.where in others:
                segments.append([])
        return [segment for segment in segments if segment]

    def _functions(self, segments: list[list[int]]) -> tuple[list[CpuFunction], dict[str, dict[str, bytes]], dict[str, Stored]]:
        """The CPU's functions, their object files by form and symbol, and which of the graph's constants they hold."""
        if not segments:
            return [], {}, {}
        from .cpu import program  # brings LLVM along

        functions: list[CpuFunction] = []
        stored: dict[str, Stored] = {}
        code: dict[str, dict[str, bytes]] = {form.name: {} for form in self.forms}
        for segment in segments:
            told = lambda position, name: self.progress(segment[position], len(self.graph.nodes) + LAST_STEPS, name)  # noqa: B023, E731
            made = program.build(self.graph, [self.graph.nodes[k] for k in segment], self._read_outside(segment), self.forms, told)
            functions.append(CpuFunction(tuple(segment), made.symbol, made.inputs, made.outputs, made.arena_size, made.constants,
                                         made.layers))
            stored |= {name: replace(place, function=len(functions) - 1) for name, place in made.stored.items()}
            for form, files in made.code.items():
                code[form] |= files
        return functions, code, stored

    def _gpu_function(self, segment: list[int]) -> GpuFunction:
        """Kernels for a GPU, which ptxas has proved where there is one."""
        from .gpu import program, ptx  # bring LLVM along

        told = lambda position, name: self.progress(segment[position], len(self.graph.nodes) + LAST_STEPS, name)  # noqa: E731
        made = program.build(self.graph, [self.graph.nodes[k] for k in segment], self._read_outside(segment), told=told)
        ptxas, steps = ptx.find_ptxas(), []
        for architecture in ptx.ARCHITECTURES if ptxas else ():
            ptx.assemble(made.ptx, architecture, ptxas)
        for step in made.steps:
            places = tuple((place.memory, place.offset) for place in step.places)
            steps.append(GpuStep(step.symbol, step.sizes.grid, step.sizes.block, places, step.layer))
        return GpuFunction(tuple(segment), made.inputs, made.outputs, made.arena_size, made.constants, tuple(steps), made.ptx, ptx.DEFAULT,
                           ptx.ARCHITECTURES if ptxas else ())

    def _read_outside(self, segment: list[int]) -> list[str]:
        """The tensors that these nodes make and others read, or who asked for the network's outputs."""
        inside = set(segment)
        read = {name for k, node in enumerate(self.graph.nodes) if k not in inside for name in node.inputs} | set(self.graph.outputs)
        return [name for k in segment for name in self.graph.nodes[k].outputs if name in read]

    def _launch(self, segment: list[int]) -> Launch:
        uop_address = self.end
        stream = codegen.generate(self._programs(segment), self.plan.addresses, self.config, uop_address, self.after)
        micro_ops = stream.micro_ops.view(np.uint8)
        insns = encode(stream.instructions, self.config)
        self.after("instructions", _Listing(stream.instructions))
        insn_address = memory.aligned(uop_address + micro_ops.size)
        self.parts += [(uop_address, micro_ops), (insn_address, insns.reshape(-1))]
        self.end = memory.aligned(insn_address + insns.size)
        return Launch(tuple(segment), insn_address, len(insns), np.array(stream.layers, np.int32))

    def _programs(self, segment: list[int]) -> Iterator[LoopProgram]:
        """Each operator's loop program, made when its turn in the stream has come, so that progress tells of both."""
        for index in segment:
            node = self.graph.nodes[index]
            self.progress(index, len(self.graph.nodes) + LAST_STEPS, node.name)
            program, self.cycles[node.outputs[0]] = slow.build(node, self.graph, self.config, self.virtual_threads)
            self.after("lower", program)
            yield program

    def _module(self, image: np.ndarray, launches: list[Launch]) -> Module:
        g = self.graph
        made, tensors = _described(g, slow.notes(g, self.config, self.cycles))
        return Module(g.name, self.config, tensors, made, launches, dict(g.constants), image, self.end,
                      {k: int(v) for k, v in self.plan.addresses.items()}, list(g.inputs), list(g.outputs),
                      {"virtual_threads": self.virtual_threads, "activation_peak": int(self.plan.peak),
                       "activation_lower_bound": int(self.plan.lower_bound)},
                      {name: self.plan.buffers[name].role for name in g.constants if name in self.plan.buffers})

    def _check(self, module: Module):
        """The checker proves each stream, apart from the passes that made it."""
        for finding in static_findings(module):
            raise WeftError(f"compiled module '{module.name}'", "the checker must find nothing", str(finding),
                            "`--print-after instructions`, and to report this: it is a fault of the compiler")


class _Listing:
    def __init__(self, instructions):
        self.instructions = instructions

    def __str__(self):
        from weft.isa.asm import to_text

        return "\n".join(to_text(i) for i in self.instructions)


def _scalar(tensor) -> tuple[float | None, int | None]:
    if isinstance(tensor.scale, (int, float)):
        return float(tensor.scale), int(tensor.zero_point)
    return None, None
