"""Random networks of real operators on the CPU, images and rows, moved, joined, reduced: near to what NumPy makes of them."""

import numpy as np
import pytest

import weft
from weft.compiler.graph import Graph, Node, TensorType
from weft.runtime.kernels import run as meaning

STEPS = ("conv", "pool", "point", "sum", "concat", "softmax", "norm", "transpose", "reshape", "matmul", "mean", "slice", "pad",
         "resize")
POINT = ("Relu", "Tanh", "Sigmoid", "HardSwish", "Gelu", "Softplus", "Neg", "Abs")


class Builder:
    """Nodes one after the other, each on a tensor that was made before; values are computed as it goes, for their shapes."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        self.graph = Graph(f"real_{seed}", inputs=["x"])
        self.values = {"x": self.reals(1, self.rng.integers(1, 24), self.rng.integers(4, 10), self.rng.integers(4, 10))}
        self.graph.tensors["x"] = TensorType(self.values["x"].shape, "float32")

    def reals(self, *shape) -> np.ndarray:
        return self.rng.standard_normal(shape).astype(np.float32)

    def node(self, op: str, names: list, **attrs) -> None:
        """names: tensors, or arrays that become constants."""
        names = [name if isinstance(name, str) else self.graph.add_constant("c", name) for name in names]
        known = {**self.graph.constants, **self.values}
        (value,) = meaning(op, attrs, *(known[name] for name in names))
        made = f"t{len(self.graph.nodes)}"
        self.graph.nodes.append(Node(made, op, names, [made], attrs))
        self.graph.tensors[made], self.values[made] = TensorType(value.shape, value.dtype.name), value

    def any(self, *ranks: int) -> str | None:
        found = [name for name, value in self.values.items() if not ranks or value.ndim in ranks]
        return found[self.rng.integers(len(found))] if found else None

    def step(self) -> None:
        choice = STEPS[self.rng.integers(len(STEPS))]
        image = choice in ("conv", "pool", "resize")
        name = self.any(4) if image else self.any()
        if name is not None and (not image or min(self.values[name].shape[2:]) >= 3):
            getattr(self, f"_{choice}")(name, self.values[name])

    def _conv(self, name, x):
        o, k = int(self.rng.integers(1, 20)), int(self.rng.integers(1, 4))
        attrs = {"strides": (1, 2), "pads": (1, 0, 0, 1), "minimum": 0.0} if self.rng.integers(2) else {}
        weights = self.reals(o, x.shape[1], k, k) / np.float32(k * x.shape[1] ** 0.5)
        self.node("Conv", [name, weights, self.reals(o)], **attrs)

    def _pool(self, name, x):
        op = ("MaxPool", "AveragePool")[self.rng.integers(2)]
        self.node(op, [name], kernel_shape=(3, 2), strides=(2, 1), pads=(1, 0, 1, 1))

    def _point(self, name, x):
        self.node(POINT[self.rng.integers(len(POINT))], [name])

    def _sum(self, name, x):
        others = [other for other, value in self.values.items() if value.shape == x.shape]
        other = others[self.rng.integers(len(others))] if self.rng.integers(3) else self.reals(*x.shape[-1:])
        self.node(("Add", "Mul", "Sub", "Max")[self.rng.integers(4)], [name, other])

    def _concat(self, name, x):
        axis = int(self.rng.integers(x.ndim))
        self.node("Concat", [name, self.reals(*x.shape[:axis], 3, *x.shape[axis + 1:]), name], axis=axis)

    def _softmax(self, name, x):
        self.node("Softmax", [name], axis=int(self.rng.integers(x.ndim)))

    def _norm(self, name, x):
        if x.shape[-1] > 1:
            self.node("LayerNormalization", [name, self.reals(x.shape[-1]), self.reals(x.shape[-1])], axis=-1, epsilon=1e-2)

    def _transpose(self, name, x):
        self.node("Transpose", [name], perm=tuple(int(k) for k in self.rng.permutation(x.ndim)))

    def _reshape(self, name, x):
        axis = int(self.rng.integers(x.ndim))
        self.node("Reshape", [name], shape=(int(np.prod(x.shape[:axis])), -1, *x.shape[axis + 1:]))

    def _matmul(self, name, x):
        if x.ndim >= 2:
            self.node("MatMul", [name, self.reals(x.shape[-1], 9) / np.float32(x.shape[-1] ** 0.5)])

    def _mean(self, name, x):
        self.node("ReduceMean", [name], axes=(int(self.rng.integers(x.ndim)),), keepdims=1)

    def _slice(self, name, x):
        axis = int(self.rng.integers(x.ndim))
        self.node("Slice", [name], starts=(x.shape[axis] // 3,), ends=(x.shape[axis],), axes=(axis,), steps=(1,))

    def _pad(self, name, x):
        self.node("Pad", [name], pads=tuple(int(n) for n in self.rng.integers(0, 2, 2 * x.ndim)), value=0.5)

    def _resize(self, name, x):
        self.node("Resize", [name], mode="linear", scales=(1.0, 1.0, 2.0, 1.5))


def network(seed: int) -> Builder:
    made = Builder(seed)
    while len(made.graph.nodes) < 8:
        made.step()
    read = {name for node in made.graph.nodes for name in node.inputs}
    made.graph.outputs = [node.outputs[0] for node in made.graph.nodes if node.outputs[0] not in read]
    made.graph.validate()
    return made


@pytest.mark.parametrize("seed", range(8))
def test_near_to_their_meaning(seed):
    made = network(seed)
    module = weft.compile(made.graph, target="cpu", cpu="native")
    assert {o.where for o in module.operators} <= {"cpu"}
    outputs, report = module.run(made.values["x"])
    assert report.agrees
    for name in module.outputs:
        assert np.allclose(outputs[name], made.values[name], rtol=1e-4, atol=1e-4 * np.abs(made.values[name]).max())
