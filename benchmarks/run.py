"""`make bench`: what the RTL costs to simulate, what layers cost in cycles, how fast functional device and timing model are, and
networks and layers on the CPU beside ONNX Runtime."""

from rich.console import Console

from weft.isa import PRESETS

from . import cpu_networks, functional_speed, layers, rtl_speed, timing_speed


def main():
    console = Console(width=140)
    console.print("simulation speed of the RTL, busy", style="bold")
    for name in ("default", "1x8x8"):
        console.print(rtl_speed.measure(PRESETS[name]), highlight=False)
    console.print(layers.table(layers.measure()))
    console.print(functional_speed.measure())
    console.print(timing_speed.table([timing_speed.measure("resnet18")]))
    console.print(cpu_networks.table(cpu_networks.measure_all()))
    console.print(cpu_networks.table(cpu_networks.measure_all(layers=True)))


if __name__ == "__main__":
    main()
