"""A GPU program without a GPU: every step by what its loops mean, with the threads of weft.compiler.gpu.lockstep."""

from collections.abc import Mapping

import numpy as np

from ..interpret import DTYPES, strides_of
from ..stmt import Buffer
from . import lockstep
from .program import Program

UNWRITTEN = 0x5A


def run(program: Program, inputs: Mapping[str, np.ndarray],
        types: Mapping[str, tuple[tuple[int, ...], str]]) -> dict[str, np.ndarray]:
    """The outputs of a program, whose arena begins with no known content. types: shape and dtype of each output.

    Raises
    ------
    RaceError: where a kernel's result would depend on the order of threads.
    """
    ends = {"arena": program.arena_size, "constants": program.constants.size}
    for step in program.steps:  # a buffer whose axes overlap claims more than it touches
        for buffer, place in zip(step.program.arguments.values(), step.places, strict=True):
            ends[place.memory] = max(ends[place.memory], place.offset + buffer.span * DTYPES[buffer.dtype].itemsize)
    memory = {name: np.full(end, UNWRITTEN, np.uint8) for name, end in ends.items()}
    memory["constants"][:program.constants.size] = program.constants
    for name, offset in program.inputs.items():
        data = np.ascontiguousarray(inputs[name]).reshape(-1).view(np.uint8)
        memory["arena"][offset:offset + data.size] = data
    for step in program.steps:
        buffers = step.program.arguments.items()
        lockstep.run(step.program, {name: _part(memory[place.memory], place.offset, buffer)
                                    for (name, buffer), place in zip(buffers, step.places, strict=True)})
    found = {}
    for name, offset in program.outputs.items():
        shape, dtype = types[name]
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        found[name] = memory["arena"][offset:offset + size].view(dtype).reshape(shape).copy()
    return found


def _part(memory: np.ndarray, offset: int, buffer: Buffer) -> np.ndarray:
    """The buffer's values in memory; `offset` is that of the one at (0, 0, ..)."""
    dtype = DTYPES[buffer.dtype]
    before = sum(low * stride for low, stride in zip(buffer.low, strides_of(buffer))) * dtype.itemsize
    begin = offset - before
    return memory[begin:begin + buffer.span * dtype.itemsize].view(dtype)
