"""What stands around the accelerator on an FPGA that only measures it: four pins instead of hundreds."""

import re

from amaranth import Cat, ClockSignal, Instance, Module, ResetSignal, Signal
from amaranth.back import rtlil

from weft.hw.verilog import TOP

NAME = "harness"
NOT_CONNECTED = ("clk", "rst", "trace")  # the first two have pins; trace is for simulators, and open on a board
FOLD = 4  # inputs of a LUT


def pins(accelerator: str) -> tuple[dict[str, int], dict[str, int]]:
    """(inputs, outputs) of the accelerator in this RTLIL, as bits by port; but clock, reset and `trace`."""
    module = re.search(rf"^module \\{TOP}\n(.*?)^end\n", accelerator, re.M | re.S)[1]
    ports = re.findall(r"^  wire (?:width (\d+) )?(input|output) \d+ +(?:signed )?\\(\w+)$", module, re.M)
    wanted = [(int(bits or 1), way, name) for bits, way, name in ports if name.split("__")[0] not in NOT_CONNECTED]
    inputs, outputs = ({name: bits for bits, its_way, name in wanted if its_way == way} for way in ("input", "output"))
    return inputs, outputs


def registers(accelerator: str) -> int:
    """How many registers the harness adds."""
    inputs, outputs = (sum(ports.values()) for ports in pins(accelerator))
    count = inputs + outputs
    while outputs > 1:
        outputs = -(-outputs // FOLD)
        count += outputs
    return count


def to_rtlil(accelerator: str) -> str:
    """RTLIL of the harness around the accelerator of this RTLIL, which it does not repeat.

    Every input comes from a register of one long shift register, and every output goes into a register, all of which are
    folded by exclusive or, FOLD at a time, into one pin. So nothing is optimised away, and a path ends at the ports as at a
    registered interconnect's: from an input's register or to an output's, never at a pin.
    """
    m, inputs, outputs = Module(), *pins(accelerator)
    serial, folded = Signal(name="serial"), Signal(name="folded")
    ports = {name: Signal(bits, name=f"pin_{name}") for name, bits in (inputs | outputs).items()}
    m.submodules[TOP] = Instance(TOP, i_clk=ClockSignal(), i_rst=ResetSignal(),
                                 **{f"i_{name}": ports[name] for name in inputs},
                                 **{f"o_{name}": ports[name] for name in outputs})
    shifted = Signal(sum(inputs.values()), reset_less=True)
    m.d.sync += shifted.eq(Cat(serial, shifted[:-1]))
    m.d.comb += Cat(ports[name] for name in inputs).eq(shifted)
    level = Signal(sum(outputs.values()), name="outputs", reset_less=True)
    m.d.sync += level.eq(Cat(ports[name] for name in outputs))
    while len(level) > 1:
        above = Signal(-(-len(level) // FOLD), name=f"fold_{len(level)}", reset_less=True)
        m.d.sync += [above[bit].eq(level[bit * FOLD:(bit + 1) * FOLD].xor()) for bit in range(len(above))]
        level = above
    m.d.comb += folded.eq(level)
    return rtlil.convert(m, name=NAME, ports=[serial, folded], emit_src=False)
