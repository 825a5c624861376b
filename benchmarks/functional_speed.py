"""How fast the functional device is: `python -m benchmarks.functional_speed [--network NAME]`.

For each form of machine code that this CPU can run: one GEMM instruction of a 3x3 convolution, and a whole network, one image;
the network on the reference device, in NumPy; and how long an engine takes to be there, made and from the cache. One core.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import weft
from weft.bench import networks
from weft.isa import DEFAULT, Config, Instruction, Opcode, encode, encode_micro_ops
from weft.isa.files import write_atomically
from weft.runtime.device import Bases, Device, open_device
from weft.runtime.executor import Executor
from weft.runtime.module import Module
from weft.sim.engine import Engine, decode_stream, forms
from weft.sim.engine.compiled import Compiled, object_code

RUNS = 15
SIDE, BLOCKS = 14, 4  # of an image with its border inside of INP: 14 x 14 positions, 3 x 3 taps, 4 blocks of input channels


def best(action: Callable[[], object], runs: int = RUNS) -> float:
    """The shortest of some runs in seconds, since other programs slow a run down."""
    seconds = []
    for _ in range(runs):
        began = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def gemm_speed(config: Config, form: str) -> float:
    """GMAC/s of one instruction: 14 x 14 outputs, summed over 3 x 3 taps of 4 blocks of input channels."""
    engine = Engine(config, form)
    wide = SIDE + 2
    taps = [(row, column, block) for block in range(BLOCKS) for row in range(3) for column in range(3)]
    src = [(block * wide + row) * wide + column for row, column, block in taps]
    engine.pads.uop[:len(taps)] = encode_micro_ops(0, src, np.arange(len(taps)), config)
    gemm = Instruction(Opcode.GEMM, {"uop_end": len(taps), "iter_out": SIDE, "iter_in": SIDE, "dst_factor_out": SIDE,
                                     "dst_factor_in": 1, "src_factor_out": wide, "src_factor_in": 1})
    engine.begin(decode_stream(encode([gemm], config), config), np.zeros(64, np.uint8), Bases())
    often = np.zeros(200, np.int32)
    seconds = best(lambda: engine.execute(often))
    return often.size * len(taps) * SIDE * SIDE * config.macs_per_cycle / seconds / 1e9


def network_seconds(module: Module, device: Device, images: np.ndarray, runs: int = RUNS) -> tuple[float, float]:
    """(seconds of a run with its host's part, seconds of its launches), each the shortest."""
    executor = Executor(module, device)
    launches = []

    def run():
        _, report = executor.run([images], check=False)
        launches.append(sum(launch.counters["seconds"] for _, launch in report.launches))

    run()  # decodes the streams
    return best(run, runs), min(launches[1:])


def start_seconds(config: Config, form: str) -> tuple[float, float]:
    """Seconds to make an engine's code, and to take it from a file."""
    began = time.perf_counter()
    code = object_code(config, forms(config)[form])
    made = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "engine.o"
        write_atomically(path, code)
        return made, best(lambda: Compiled(path.read_bytes(), forms(config)[form]), 3)


def measure(network: str = "resnet18", config: Config = DEFAULT) -> Table:
    """A row for each form, and one for NumPy."""
    module = weft.compile(networks.load(network), config)
    images = networks.images()
    slow, slow_launch = network_seconds(module, open_device("reference", config, module.memory_size), images, 1)
    table = Table(title=f"functional device, config '{config.name}', {network}: {module.macs:,} MACs")
    for title in ("form", "GEMM, GMAC/s", "network, s", "its launches, s", "GMAC/s", "NumPy / this", "code made, s",
                  "from cache, s"):
        table.add_column(title, justify="right")
    for form in forms(config):
        whole, launch = network_seconds(module, open_device("functional", config, module.memory_size, engine=form), images)
        made, loaded = start_seconds(config, form)
        table.add_row(form, f"{gemm_speed(config, form):.1f}", f"{whole:.4f}", f"{launch:.4f}",
                      f"{module.macs / launch / 1e9:.1f}", f"{slow_launch / launch:.0f}", f"{made:.2f}", f"{loaded:.4f}")
    table.add_row("NumPy", "", f"{slow:.3f}", f"{slow_launch:.3f}", f"{module.macs / slow_launch / 1e9:.2f}", "1", "", "")
    return table


def main():
    parser = argparse.ArgumentParser(description="How fast the functional device is.")
    parser.add_argument("--network", default="resnet18", choices=list(networks.NETWORKS))
    Console(width=140).print(measure(parser.parse_args().network))


if __name__ == "__main__":
    main()
