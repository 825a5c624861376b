"""Random small networks of placed integer operators, for comparing devices with one another and with the reference."""

import numpy as np

from weft.compiler.graph import Graph, Node, TensorType
from weft.compiler.graph_passes.legalise import runs
from weft.isa.quantise import pack_lanes, quantise_multiplier


class _Builder:
    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        self.graph = Graph(f"random_{seed}")

    def between(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def lanes(self, name: str, channels: int, largest_sum: float) -> str:
        multiplier, shift = quantise_multiplier(self.rng.uniform(0.3, 3, channels) * 100 / largest_sum)
        low = self.rng.integers(-128, 20, channels)
        return self.graph.add_constant(name, pack_lanes(self.rng.integers(-50, 50, channels), multiplier, shift, self.rng.integers(-128, 128, channels), low,
                                                        self.rng.integers(low, 128), self.rng.integers(0, 3)))

    def node(self, op: str, inputs: list[str], shape: tuple[int, ...], attrs: dict) -> str:
        index = len(self.graph.nodes)
        name = self.graph.add_tensor(f"t{index}", TensorType(shape, "int8"))
        self.graph.nodes.append(Node(f"{op}{index}", op, inputs, [name], attrs, "accel"))
        return name

    def window(self, size: tuple[int, int], largest: int) -> tuple[dict, tuple[int, int]]:
        """Attributes of a sliding window over `size`, and the size that comes out."""
        kernel = tuple(self.between(1, min(largest, s)) for s in size)
        strides = self.between(1, 3), self.between(1, 3)
        pads = tuple(self.between(0, k - 1) for k in (*kernel, *kernel))
        out = tuple((s + pads[i] + pads[i + 2] - kernel[i]) // strides[i] + 1 for i, s in enumerate(size))
        return {"kernel": kernel, "strides": strides, "pads": pads}, out

    def convolution(self, x: str) -> str:
        n, c, h, w = self.graph.tensors[x].shape
        window, size = self.window((h, w), 7)
        kernel = window.pop("kernel")
        out = self.between(1, 40)
        weight = self.graph.add_constant("w", self.rng.integers(-127, 128, (out, c, *kernel)).astype(np.int8))
        qnt = self.lanes("q", out, 127 * 64 * np.sqrt(c * kernel[0] * kernel[1]))
        return self.node("conv2d", [x, weight, qnt], (n, out, *size), {**window, "dilations": (1, 1), "groups": 1, "pad_value": self.between(-128, 127)})

    def transposed(self, x: str) -> str:
        """Pieces: a transposed convolution, each channel by itself or all together."""
        n, c, h, w = self.graph.tensors[x].shape
        kernel, stride = self.between(1, 4), self.between(1, 3)
        before = self.between(0, kernel - 1)
        size = tuple(max((m - 1) * stride + kernel - before, 1) for m in (h, w))
        op = ("conv2d", "depthwise_conv2d")[self.between(0, 1)]
        out, each = (self.between(1, 40), c) if op == "conv2d" else (c, 1)
        axes = tuple(runs.transposed(m, o, kernel, stride, before) for m, o in zip((h, w), size))
        name = self.graph.add_tensor(f"t{len(self.graph.nodes)}", TensorType((n, out, *size), "int8"))
        attrs = {"pad_value": self.between(-128, 127)} | ({"dilations": (1, 1), "groups": 1} if op == "conv2d" else {})

        def piece(rows: runs.Run, columns: runs.Run) -> tuple[list[str], dict]:
            shape = (out, each, len(rows.taps), len(columns.taps))
            weight = self.graph.add_constant("w", self.rng.integers(-127, 128, shape).astype(np.int8))
            return [weight, self.lanes("q", out, 127 * 64 * np.sqrt(each * shape[2] * shape[3]))], attrs

        node = Node(f"transposed{len(self.graph.nodes)}", "", [x], [name])
        runs.add_pieces(self.graph, node, op, (n, c, h, w), axes, piece, {}, name)
        self.graph.nodes[-1].where = "accel"
        return name

    def pool(self, x: str) -> str:
        n, c, h, w = self.graph.tensors[x].shape
        window, size = self.window((h, w), 3)
        if self.between(0, 1):
            return self.node("max_pool", [x], (n, c, *size), window)
        qnt = self.lanes("q", c, 128 * window["kernel"][0] * window["kernel"][1])
        return self.node("avg_pool", [x, qnt], (n, c, *size), {**window, "pad_value": self.between(-128, 127)})

    def residual(self, x: str, other: str) -> str:
        shape = self.graph.tensors[x].shape
        multipliers = self.between(-(1 << 15), (1 << 15) - 1), self.between(-(1 << 15), (1 << 15) - 1)
        return self.node("add", [x, other, self.lanes("q", shape[1], 2.0**22)], shape, {"multipliers": multipliers})


def random_network(seed: int, batch: int = 1) -> Graph:
    """Two to four operators on an image of at most 12 by 12, the first of them a convolution; the same for the same seed."""
    b = _Builder(seed)
    x = b.graph.add_tensor("x", TensorType((batch, b.between(1, 40), b.between(3, 12), b.between(3, 12)), "int8"))
    b.graph.inputs.append(x)
    y = b.convolution(x)
    for _ in range(b.between(1, 3)):
        kind = b.between(0, 3)
        small = max(b.graph.tensors[y].shape[2:]) < 13
        y = b.transposed(y) if kind == 3 and small else b.convolution(y) if kind == 0 else b.pool(y) if kind == 1 else b.residual(y, y)
    b.graph.outputs.append(y)
    b.graph.validate()
    return b.graph
