"""Networks of PyTorch, as `torch.export` gives them: a program, a file of `torch.export.save`, or a module and its inputs.

The program is brought to functional ATen operators, of which `torch_operators` and `torch_moves` say what each becomes.
Those whose inputs are all constant are computed here. What PyTorch's quantisers write, `torch_quantised` turns into weft's
`quantize` and `dequantize`; uint8 becomes int8 by lowering zero points by 128. PyTorch is imported when it is needed, and
only here.
"""

import operator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from weft.isa import WeftError

from ..graph import DTYPES, Graph, Node, TensorType
from . import torch_moves, torch_operators, torch_quantised  # noqa: F401  (torch_moves registers its operators)
from .onnx_operators import cannot_import, reference_node

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram

ONNX_OPSET = 20


def is_torch(model: object) -> bool:
    """Whether the model is an ExportedProgram, or a pair of a module and its example inputs."""
    first = model[0] if isinstance(model, tuple) and len(model) == 2 else model
    return any(c.__module__.partition(".")[0] == "torch" for c in type(first).__mro__)


def load(model: "str | Path | ExportedProgram | tuple[torch.nn.Module, tuple]", name: str = "") -> Graph:
    """The graph of an exported program, of a file that holds one (.pt2), or of (module, example inputs), exported here.

    name: what the graph is called; without it, as the file or the module's class.

    Raises
    ------
    WeftError: without PyTorch, for a damaged file, a module that it cannot export, or an operator that is unknown.
    """
    program, given = _program(model)
    return Importer(program, name or given).graph


def _program(model) -> "tuple[ExportedProgram, str]":
    subject = f"model {Path(model).name}" if isinstance(model, (str, Path)) else "model"
    try:
        import torch
        import torch.ao.quantization.fx._decomposed  # defines the operators that quantise  # noqa: F401
    except ImportError:
        raise WeftError(
            subject, "a program of torch.export needs PyTorch", "none installed", "pip install 'weft[torch]'"
        ) from None
    if isinstance(model, (str, Path)):
        try:
            return torch.export.load(str(model)), Path(model).stem
        except Exception as error:  # it raises its own errors, and what zip and pickle raise
            raise WeftError(subject, "the file must be one of torch.export.save", _first_line(error),
                            "to save the program again, with this version of PyTorch") from None
    if not isinstance(model, tuple):
        if not isinstance(model, torch.export.ExportedProgram):
            raise WeftError(
                f"model {type(model).__name__}",
                "it must be a program of torch.export, or a pair with its inputs",
                "an object without these",
                "(module, example_inputs), a tuple of a tuple",
            )
        return model, "program"
    module, inputs = model
    module_name = type(module).__name__
    try:
        return torch.export.export(module.eval(), tuple(inputs)), module_name
    except Exception as error:  # of many kinds
        raise WeftError(f"module {module_name}", "torch.export must be able to export it", _first_line(error),
                        "to look at torch.export.export(module, inputs) by itself") from None


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


class Importer:
    """Builds the graph node by node; `self.graph` is the result. Operators' functions use its methods."""

    def __init__(self, program: "ExportedProgram", name: str):
        self.graph, self.names = Graph(name), {}  # of fx nodes; a tuple where a node makes several tensors
        self.made: dict[str, Any] = {}  # the torch tensors of constants, and of those that are computed
        self.values = self._values(program)
        program = program.run_decompositions(_decompositions())
        if any(spec.kind.name not in ("USER_OUTPUT", "TOKEN") for spec in program.graph_signature.output_specs):
            raise WeftError(f"model {name}", "a run must not change the module", "outputs that update its buffers",
                            "to export module.eval()")
        for node in program.graph.nodes:
            if node.op == "placeholder":
                self._placeholder(node, program.graph_signature)
            elif node.op == "call_function":
                self._call(node)
            elif node.op == "output":
                self._outputs(node)
        self.graph.prune()
        self.graph.validate()

    @staticmethod
    def _values(program: "ExportedProgram") -> dict[str, Any]:
        """Parameters, buffers and constants by the names that the signature has for them."""
        return {**program.state_dict, **program.constants, **dict(program.named_buffers())}

    def _placeholder(self, node, signature) -> None:
        lifted = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        if node.name in lifted:
            self._hold(node, self.values[lifted[node.name]])
            return
        subject = f"input '{node.name}'"
        if node.name not in signature.user_inputs:
            raise WeftError(subject, "an input must be a tensor", "an object", "to export the module without it")
        type_ = self._type(subject, node.meta.get("val"))
        self.graph.tensors[node.name] = type_
        self.graph.inputs.append(node.name)
        self.names[node] = node.name

    def _hold(self, node, value) -> None:
        """A constant; it becomes one of the graph's when an operator reads it."""
        self.made[node.name] = value
        self.names[node] = None

    def _outputs(self, node) -> None:
        for value in node.args[0]:
            if not hasattr(value, "meta"):
                raise WeftError(
                    f"model {self.graph.name}", "an output must be a tensor", repr(value), "to return tensors only"
                )
            name = self.read(value)
            if name in self.graph.inputs or name in self.graph.constants or name in self.graph.outputs:
                name = self.emit(f"{name}.output", "Identity", [name], {}, self.graph.tensors[name])
            self.graph.outputs.append(name)

    def _call(self, node) -> None:
        target = str(node.target)
        if node.target is operator.getitem:
            source, index = node.args
            parts = self.names[source]
            self.names[node] = parts[index] if isinstance(parts, tuple) else None
            if parts is None:
                self._hold(node, self.made[source.name][index])
            elif self.names[node] is None:
                raise WeftError(
                    f"node '{node.name}' (getitem)",
                    "only the values of a normalisation or pooling are computed",
                    f"output {index} of '{source.name}'",
                    "to leave it out",
                )
            return
        if target in torch_operators.NOTHING:
            return
        call = Call(self, node, target)
        if target.startswith("quantized_decomposed."):
            self.names[node] = torch_quantised.quantiser(call)
        elif all(self.names[arg] is None for arg in node.all_input_nodes):
            self._hold(node, self._computed(node))
        else:
            self.names[node] = torch_operators.convert(call)

    def _computed(self, node):
        """An operator on constants, by PyTorch itself."""
        import torch

        def value(arg):
            return self.made[arg.name]
        with torch.no_grad():
            return node.target(*torch.fx.node.map_arg(node.args, value), **torch.fx.node.map_arg(node.kwargs, value))

    def _type(self, subject: str, value) -> TensorType:
        """Of a tensor without storage."""
        if not hasattr(value, "shape"):
            raise WeftError(subject, "it must be a tensor", type(value).__name__, "to export the module with tensors only")
        if any(not isinstance(n, int) for n in value.shape):
            raise WeftError(subject, "its shape must be static", f"shape [{', '.join(map(str, value.shape))}]",
                            "to export without dynamic_shapes")
        return TensorType(tuple(value.shape), self.dtype(subject, value.dtype))

    @staticmethod
    def dtype(subject: str, dtype) -> str:
        name = str(dtype).removeprefix("torch.")
        if name not in DTYPES:
            raise WeftError(
                subject, f"a dtype must be one of {', '.join(DTYPES[:-1])}", name, "to export the module in float32"
            )
        return name

    def is_constant(self, arg) -> bool:
        return self.names.get(arg, "") is None

    def constant(self, arg) -> np.ndarray:
        """The value of a constant."""
        return self.made[arg.name].detach().cpu().contiguous().numpy()

    def read(self, arg) -> str:
        """The graph's name of what an fx node makes."""
        name = self.names[arg]
        if name is None:
            name = arg.name
            if name not in self.graph.constants:
                value = self.constant(arg)
                self.dtype(f"constant '{name}'", value.dtype.name)
                self.graph.constants[name] = value
                self.graph.tensors[name] = TensorType(value.shape, value.dtype.name)
        return name

    def emit(self, stem: str, op: str, inputs: list[str], attrs: dict, type_: TensorType) -> str:
        """A node that makes one tensor; returns that tensor's name."""
        name = self.graph.add_tensor(stem, type_)
        self.graph.nodes.append(Node(name, op, inputs, [name], attrs))
        return name


class Call:
    """One fx node with its arguments by name: `call["stride"]`, `call.tensor("input")`."""

    def __init__(self, importer: Importer, node, target: str):
        self.importer, self.node, self.target = importer, node, target
        self.subject = f"node '{node.name}' ({target})"
        schema = node.target._schema.arguments if hasattr(node.target, "_schema") else ()
        self.arguments = {a.name: a.default_value for a in schema if a.has_default_value()}
        self.arguments |= dict(zip((a.name for a in schema), node.args, strict=False)) | node.kwargs

    def __getitem__(self, key: str):
        return self.arguments[key]

    def get(self, key: str, default=None):
        return self.arguments.get(key, default)

    @property
    def type(self) -> TensorType:
        """Of the output; of the first, if there are several."""
        value = self.node.meta["val"]
        return self.importer._type(self.subject, value[0] if isinstance(value, (tuple, list)) else value)

    @property
    def types(self) -> list[TensorType]:
        return [self.importer._type(self.subject, value) for value in self.node.meta["val"]]

    def tensor(self, key: str) -> str:
        """The name of a tensor that must be there."""
        return self.operand(self[key])

    def operand(self, value) -> str:
        """The name of a tensor, or of a constant of the output's dtype for a number."""
        if hasattr(value, "meta"):
            return self.importer.read(value)
        return self.new_constant(np.asarray(value, self.type.numpy))

    def new_constant(self, value: np.ndarray, stem: str = "number") -> str:
        return self.importer.graph.add_constant(f"{self.node.name}.{stem}", value)

    def shape_of(self, name: str) -> tuple[int, ...]:
        return self.importer.graph.tensors[name].shape

    def emit(self, op: str, inputs: list[str], attrs: dict | None = None) -> str:
        """The node that makes the call's output."""
        return self.importer.emit(self.node.name, op, inputs, attrs or {}, self.type)

    def step(self, op: str, inputs: list[str], shape: tuple[int, ...], attrs: dict | None = None) -> str:
        """A node on the way to the call's output, of its dtype."""
        return self.importer.emit(
            f"{self.node.name}.{op.lower()}", op, inputs, attrs or {}, TensorType(tuple(shape), self.type.dtype)
        )

    def onnx(self, op: str, inputs: list[str], attrs: dict) -> str:
        """As the frontend of ONNX has that operator: by name where there is a kernel, else by ONNX's reference evaluator."""
        proto = onnx.helper.make_node(op, [f"x{i}" if name else "" for i, name in enumerate(inputs)], ["y"], **attrs)
        if not cannot_import(proto, attrs)[0]:
            return self.emit(op, inputs, attrs)
        return self.emit("Onnx", inputs, reference_node(proto, ONNX_OPSET))

    def require(self, holds: bool, rule: str, found: object, hint: str) -> None:
        if not holds:
            raise WeftError(self.subject, rule, str(found), hint)


def _decompositions() -> dict:
    """Everything is taken apart but what has an operator of its own here; operators in place become pure ones."""
    import torch

    return {op: rule for op, rule in torch.export.default_decompositions().items()
            if str(op).rpartition(".")[0] not in torch_operators.KEPT}
