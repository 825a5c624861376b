"""`make bench`: what the RTL costs to simulate, what layers cost in cycles, and how fast the functional device is."""

from rich.console import Console

from weft.isa import PRESETS

from . import functional_speed, layers, rtl_speed


def main():
    console = Console(width=140)
    console.print("simulation speed of the RTL, busy", style="bold")
    for name in ("default", "1x8x8"):
        console.print(rtl_speed.measure(PRESETS[name]), highlight=False)
    console.print(layers.table(layers.measure()))
    console.print(functional_speed.measure())


if __name__ == "__main__":
    main()
