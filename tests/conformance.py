"""The conformance programs of tests/vectors, read once."""

from functools import cache
from pathlib import Path

from weft.isa import RawProgram
from weft.sim.conform import load_folder

FOLDER = Path(__file__).parent / "vectors"


@cache
def programs() -> list[RawProgram]:
    return list(load_folder(FOLDER))
