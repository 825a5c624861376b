"""Cycles, utilisation and seconds of whole networks, from the first operator to the last: what `weft bench` prints."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from weft.compiler import pipeline
from weft.compiler.graph import Graph
from weft.isa import Config, WeftError
from weft.runtime.function import Function
from weft.runtime.losses import losses
from weft.runtime.module import Module
from weft.runtime.validate import random_inputs

from . import networks

RUNS = 15
Progress = Callable[[int, int, str], None]

# At most so many cycles, default machine, 64-bit bus, read latency 16: what the schedules and the hardware are tuned to.
GOALS = {"resnet18": 7_450_000, "resnet50": 17_000_000, "mobilenet_v1": 3_000_000, "mobilenet_v2": 1_700_000}


@dataclass(frozen=True)
class Measurement:
    """One network on one device.

    device: 'cpu' where the accelerator does nothing.
    macs: of the network, without padding. cycles: from launch to done, None on a device without a clock.
    utilisation: macs / (macs a cycle x cycles). seconds: that the device took to run it, compilation and host apart; on the CPU
        the median of RUNS runs.
    goal: cycles to reach, None where there is none. bit_exact: whether every output byte equals the integer reference's.
    agrees: as of a RunReport.
    causes: the physical limit and what the cycles beyond it went to (`weft.runtime.losses`), in all `cycles`; None as cycles.
    """

    network: str
    device: str
    config: str
    virtual_threads: int
    cycles: int | None
    macs: int
    utilisation: float | None
    seconds: float
    compile_seconds: float
    goal: int | None
    bit_exact: bool
    agrees: bool
    causes: dict[str, int] | None


def measure(network: str, device: str, config: Config, virtual_threads: int = 2,
            progress: Progress = lambda done, total, name: None, target: str | None = None, threads: int | None = None,
            **options) -> Measurement:
    """Compiles a network and runs it on random inputs, once with the accelerator, for cycles do not depend on them.

    Parameters
    ----------
    network: a name of `networks.NETWORKS`, or a model's file.
    device, threads, options: as `Module.run` takes them. target: as `pipeline.compile`.

    Raises
    ------
    WeftError: for a network that is neither, and where compiling or running is refused.
    """
    graph = _graph(network)
    began = time.perf_counter()
    module = pipeline.compile(graph, config, target=target, virtual_threads=virtual_threads, progress=progress)
    compiled = time.perf_counter() - began
    inputs = random_inputs(module, seed=0)
    _, report = module.run(*inputs, device=device, progress=progress, threads=threads, **options)
    seconds = sum(launch.counters["seconds"] for _, launch in report.launches) if module.launches else _median(module, inputs, threads)
    goal = GOALS.get(network) if config.name == "default" and module.launches else None
    return Measurement(network, report.device, config.name, virtual_threads, report.cycles, module.macs, report.utilisation, seconds,
                       compiled, goal, bool(report.bit_exact), bool(report.agrees), losses(report, config) if report.cycles else None)


def _median(module: Module, inputs: list[np.ndarray], threads: int | None) -> float:
    """Seconds of a run without the accelerator."""
    function, taken = Function(module, threads=threads), []
    for _ in range(RUNS + 1):
        began = time.perf_counter()
        function(*inputs)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[1:])  # the first one loads the code


def _graph(network: str) -> "Graph | Path":
    if network in networks.NETWORKS:
        return networks.load(network)
    if not Path(network).is_file():
        raise WeftError(f"network '{network}'", f"a network is one of {', '.join(networks.NETWORKS)}, or a model's file", "no such file",
                        "one of these names")
    return Path(network)
