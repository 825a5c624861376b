"""How fast the RTL device simulates, busy: `python -m benchmarks.rtl_speed [--config NAME] [--tiles N]`.

Prints cycles a second of host time and the GEMM core's utilisation: steps that it did for each cycle that passed.
"""

import argparse

from weft.isa import Config, load_config
from weft.sim.rtl import RtlDevice, busy


def main():
    parser = argparse.ArgumentParser(description="Cycles a second of the RTL device, busy.")
    parser.add_argument("--config", default="default")
    parser.add_argument("--tiles", type=int, default=600)
    options = parser.parse_args()
    print(measure(load_config(options.config), options.tiles))


def measure(config: Config, tiles: int = 600) -> str:
    """One line: cycles, seconds, cycles a second, utilisation."""
    device = RtlDevice(config, busy.DRAM_SIZE)
    for _ in range(2):  # the second is warm
        report = busy.launch(device, tiles)
    seconds = report.counters["seconds"]
    return (f"config '{config.name}': {report.cycles:,} cycles in {seconds:.2f} s, {report.cycles / seconds / 1e6:.2f} M cycles/s, "
            f"GEMM core busy {report.counters['gemm_steps'] / report.cycles:.1%}, "
            f"{report.counters['gemm_steps'] * config.macs_per_cycle / seconds / 1e9:.2f} GMAC/s")


if __name__ == "__main__":
    main()
