"""`make bench`: what the RTL costs to simulate, and what layers cost in cycles."""

from rich.console import Console

from weft.isa import PRESETS

from . import layers, rtl_speed


def main():
    console = Console(width=140)
    console.print("simulation speed of the RTL, busy", style="bold")
    for name in ("default", "1x8x8"):
        console.print(rtl_speed.measure(PRESETS[name]), highlight=False)
    console.print(layers.table(layers.measure()))


if __name__ == "__main__":
    main()
