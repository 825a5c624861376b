"""Code generation: loop programs become one stream of instructions with their micro-ops and tokens.

Each program goes through the loop passes and is compiled to emitters once: the addresses of a leaf are sums of coefficients
times loop variables. Then the loops outside of the leaves are walked with their values, and the turns of vthread loops are
woven. What comes out is in an order that is right when run one after the other; `tokens.derive` makes the modules keep it
where it matters, over all programs together, so that layers overlap as far as their data allow.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from weft.isa import Config, Instruction

from .emit import ProgramEmitter
from .overlap import overlap
from .passes import run_passes
from .stmt import LoopProgram
from .tokens import derive
from .uop_buffer import UopBuffer
from .weave import Item

AfterPass = Callable[[str, LoopProgram], None]


@dataclass
class Stream:
    """A finished stream.

    instructions: with tokens, and a FINISH at the end. micro_ops: uint32 [n], to be put at `uop_address` of DRAM.
    layers: for each instruction the index of its program; FINISH belongs to the last.
    """

    instructions: list[Instruction]
    micro_ops: np.ndarray
    layers: list[int]


def generate(programs: Iterable[LoopProgram], addresses: Mapping[str, int], config: Config, uop_address: int,
             after_pass: AfterPass = lambda name, program: None) -> Stream:
    """The instructions that run `programs` one after the other, as far apart as their data demand and no further.

    Parameters
    ----------
    programs: are taken one by one, each when the code of those before is there.
    addresses: byte address of every argument of the programs; multiples of the size of its element.
    uop_address: byte address at which the stream's micro_ops will be put.
    after_pass: is called with the name and the result of every loop pass, for printing.

    Raises
    ------
    WeftError: for a statement that no instruction does, a buffer that does not fit its scratchpad, a misplaced tensor.
    """
    micro_ops = UopBuffer(config, uop_address)
    items: list[Item] = []
    for layer, program in enumerate(programs):
        leaves = run_passes(program, config, after_pass)
        items += ProgramEmitter(leaves, addresses, config, layer).emit()
    stream = derive(list(micro_ops.resolve(overlap(items, config))), config)
    return Stream([Instruction(o.opcode, o.fields) for o in stream], micro_ops.blob(), [o.layer for o in stream])
