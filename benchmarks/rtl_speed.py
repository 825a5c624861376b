"""How fast the RTL device simulates, busy: `python -m benchmarks.rtl_speed [--config NAME] [--tiles N]`.

Prints cycles a second of host time and the GEMM core's utilisation: steps that it did for each cycle that passed.
"""

import argparse

from weft.isa import Config, load_config
from weft.sim.rtl import RtlDevice, busy

RUNS = 7


def main():
    parser = argparse.ArgumentParser(description="Cycles a second of the RTL device, busy.")
    parser.add_argument("--config", default="default")
    parser.add_argument("--tiles", type=int, default=300)
    options = parser.parse_args()
    print(measure(load_config(options.config), options.tiles))


def measure(config: Config, tiles: int = 300) -> str:
    """One line: cycles a second, the best and the median of some runs, since other programs slow a run down; utilisation."""
    device = RtlDevice(config, busy.DRAM_SIZE)
    reports = [busy.launch(device, tiles) for _ in range(RUNS + 1)][1:]  # the first one is cold
    report = reports[0]
    speeds = sorted(report.cycles / r.counters["seconds"] / 1e6 for r in reports)
    return (f"config '{config.name}': {speeds[-1]:.2f} M cycles/s, median {speeds[RUNS // 2]:.2f} (best and median of {RUNS} runs of "
            f"{report.cycles:,} cycles), GEMM core busy {report.counters['gemm_steps'] / report.cycles:.1%}, "
            f"{report.counters['gemm_steps'] * config.macs_per_cycle / report.cycles * speeds[-1] / 1e3:.2f} GMAC/s")


if __name__ == "__main__":
    main()
