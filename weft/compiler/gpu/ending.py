"""What follows sums of stored values on the GPU: bias, requantisation, the sum with another tensor, a table."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from .. import te
from ..cpu import lanes
from ..cpu.kernel import View
from ..cpu.layout import BIAS
from ..cpu.pointwise import lift, stored
from ..cpu.requantise import WIDE, way
from ..expr import Call, Const, Expr, call
from ..graph import Graph, Node
from ..te import Tensor
from .expressions import FORM


@dataclass
class Ending:
    """tensors, constants: what a kernel reads for it, by the arguments' names. Its columns are output channels."""

    node: Node
    graph: Graph
    views: Mapping[str, View]
    columns: int  # with those that fill up the last tile
    tensors: dict[str, Tensor] = field(default_factory=dict)
    constants: dict[str, np.ndarray] = field(default_factory=dict)

    def constant(self, name: str, values: np.ndarray) -> Tensor:
        """A placeholder for values, one for each column or one for all."""
        name = f"${name}"
        self.constants[name] = values
        self.tensors[name] = te.placeholder(name[1:], {f"a{k}": n for k, n in enumerate(values.shape)}, values.dtype.name, 0)
        return self.tensors[name]

    def per_column(self, name: str, values: np.ndarray, column: Expr) -> Expr:
        """The value of a column: a number where it is the same for all."""
        values = np.asarray(values).reshape(-1)
        if values.size == 1:
            return Const(values[0].item(), values.dtype.name)
        whole = np.zeros(self.columns, values.dtype)
        whole[:values.size] = values
        tensor = self.tensors.get(f"${name}") or self.constant(name, whole)
        return tensor[column]

    def quantised(self, prefix: str, qnt: str, acc: Expr, column: Expr, correction: np.ndarray | int = 0,
                  largest: float = np.inf) -> Expr:
        """int32 within int8, of int32 sums. correction: what is added to the bias of each channel; largest: |acc| stays
        below."""
        ending = lanes.lanes(self.graph, qnt, 2)
        bias, scale, *others = ending.arrays
        bias = bias.reshape(-1).astype(np.int64) + correction
        scale = scale.reshape(-1)
        chosen, attrs = way(np.abs(bias) + largest, scale, FORM, ending.rounding), {}
        if chosen != WIDE:
            scale, attrs = scale.astype(np.float32), {"way": chosen}
        bias = bias if (bias != bias[0]).any() else bias[:1]
        parameters = [self.per_column(f"{prefix}{k}", values, column)
                      for k, values in enumerate((bias.astype(np.int32), scale, *others))]
        whole = ending.quantised(acc, parameters)
        return _with(whole, attrs)

    def finished(self, acc: Expr, column: Expr, place: tuple[Expr, ...], correction: np.ndarray | int = 0,
                 largest: float = np.inf, qnt: int = 2, added: str | None = None) -> Expr:
        """What is stored at a place of the node's output. qnt: the position of its lanes among the inputs; a table comes
        behind them. added: the name of the tensor that conv2d_add adds, whose lanes and whose table come behind it."""
        node, graph, out = self.node, self.graph, self.node.outputs[0]
        whole = self.quantised("", node.inputs[qnt], acc, column, correction, largest)
        if added is not None:
            other = self.tensors.setdefault(added, self.views[added].placeholder("other"))
            a, b = node.attrs["multipliers"]
            second = stored(other[place], lift(graph, added, self.views[added]))
            whole = self.quantised("sum", node.inputs[4], whole * int(a) + second * int(b), column, 0,
                                   128.0 * (abs(int(a)) + abs(int(b))))
        lifted = lift(graph, out, self.views[out])
        found = lanes.table(graph, node, qnt + 1 if added is None else qnt + 3, lifted)
        if found is not None:
            entries = self.tensors.get("$table") or self.constant("table", found.values)
            return entries[whole + BIAS].astype(self.views[out].dtype)
        return (whole + lifted if lifted else whole).astype(self.views[out].dtype)


def _with(e: Expr, attrs: dict) -> Expr:
    """A requantisation with more attributes."""

    if isinstance(e, Call) and attrs:
        return call(e.name, *e.args, dtype=e.dtype, **dict(e.attrs), **attrs)
    return e
