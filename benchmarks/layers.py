"""Convolution layers on RTL, with one and with two virtual threads: `python -m benchmarks.layers [--json]`."""

import argparse
import json

import numpy as np
from rich.console import Console
from rich.table import Table

from weft.compiler.graph import Graph, Node, TensorType
from weft.compiler.pipeline import build
from weft.isa import DEFAULT, Config
from weft.isa.quantise import pack_lanes, quantise_multiplier

# name: channels in, channels out, height and width, kernel, stride
LAYERS = {
    "3x3 56x56x64": (64, 64, 56, 3, 1),
    "3x3 28x28x128": (128, 128, 28, 3, 1),
    "3x3 14x14x256": (256, 256, 14, 3, 1),
    "3x3 7x7x512": (512, 512, 7, 3, 1),
    "1x1 56x56 64 to 128 /2": (64, 128, 56, 1, 2),
    "1x1 14x14 1024 to 256": (1024, 256, 14, 1, 1),
}


def layer(channels: int, filters: int, size: int, kernel: int, stride: int) -> Graph:
    """A network of one convolution with seeded weights."""
    rng, pad = np.random.default_rng(0), kernel // 2
    out = (size + 2 * pad - kernel) // stride + 1
    graph = Graph("layer")
    graph.inputs = [graph.add_tensor("x", TensorType((1, channels, size, size), "int8"))]
    w = graph.add_constant("w", rng.integers(-127, 128, (filters, channels, kernel, kernel)).astype(np.int8))
    multiplier, shift = quantise_multiplier(np.full(filters, 40 / (5000 * np.sqrt(channels) * kernel)))
    qnt = graph.add_constant("qnt", pack_lanes(np.zeros(filters, np.int32), multiplier, shift, 0, -128, 127))
    graph.outputs = [graph.add_tensor("y", TensorType((1, filters, out, out), "int8"))]
    graph.nodes.append(Node("conv", "conv2d", ["x", w, qnt], ["y"], {"strides": (stride, stride), "pads": (pad,) * 4, "dilations": (1, 1),
                                                                   "groups": 1, "pad_value": 0}, "accel"))
    return graph


def measure(config: Config = DEFAULT) -> list[dict]:
    """For each layer and number of virtual threads: macs, cycles, utilisation, bit_exact."""
    rows = []
    for name, shape in LAYERS.items():
        graph = layer(*shape)
        x = np.random.default_rng(1).integers(-128, 128, graph.tensors["x"].shape).astype(np.int8)
        for threads in (1, 2):
            report = build(graph, config, virtual_threads=threads).run(x, device="rtl")[1]
            rows.append({"layer": name, "virtual_threads": threads, "macs": report.macs, "cycles": report.cycles,
                         "utilisation": report.utilisation, "bit_exact": report.bit_exact})
    return rows


def table(rows: list[dict]) -> Table:
    """The rows side by side, with the ratio."""
    shown = Table(title="convolution layers on RTL, 64-bit bus, read latency 16", title_justify="left")
    for column in ("layer", "MACs", "cycles, one thread", "cycles, two", "ratio", "utilisation, one", "two"):
        shown.add_column(column, justify="left" if column == "layer" else "right")
    for one, two in zip(rows[::2], rows[1::2]):
        shown.add_row(one["layer"], f"{one['macs']:,}", f"{one['cycles']:,}", f"{two['cycles']:,}", f"{one['cycles'] / two['cycles']:.2f}",
                      f"{one['utilisation']:.1%}", f"{two['utilisation']:.1%}")
    return shown


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    rows = measure()
    print(json.dumps(rows, indent=1)) if parser.parse_args().json else Console(width=140).print(table(rows))


if __name__ == "__main__":
    main()
