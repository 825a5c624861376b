"""What a loop program is, apart from its names: `text(program)`, equal for programs that compute the same in the same way.

Equal kernels are compiled once, and a program that was compiled before is found again by this text, without generating code.
"""

import dataclasses
import hashlib
from pathlib import Path

import weft.llvm

from .. import expr as expressions
from ..expr import Var
from ..stmt import Buffer, LoopProgram


def _hash_of_sources() -> str:
    compiler = Path(expressions.__file__).parent
    files = [compiler / f"{name}.py" for name in ("bounds", "expr", "stmt")]
    for folder in (Path(__file__).parent, Path(weft.llvm.__file__).parent):
        files += sorted(folder.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


OF_BUFFERS = ("shape", "dtype", "scope", "element_rank", "threads", "strides", "low")  # what counts of a buffer
SOURCES = _hash_of_sources()  # of what makes machine code of programs; at once, as they were imported


def text(program: LoopProgram) -> str:
    """Its statements and expressions; variables and buffers are numbered as they come, arguments first."""
    known: dict[int, str] = {}
    parts = [_text(buffer, known) for buffer in program.arguments.values()]
    return f"{';'.join(parts)}|{_text(program.body, known)}"


def _text(value, known: dict[int, str]) -> str:
    if isinstance(value, Var | Buffer):
        if id(value) in known:
            return known[id(value)]
        known[id(value)] = f"{type(value).__name__[0].lower()}{len(known)}"
        own = ("dtype",) if isinstance(value, Var) else OF_BUFFERS
        return f"{known[id(value)]}:{','.join(repr(getattr(value, name)) for name in own)}"
    if dataclasses.is_dataclass(value):
        fields = (_text(getattr(value, field.name), known) for field in dataclasses.fields(value))
        return f"{type(value).__name__}({','.join(fields)})"
    if isinstance(value, list | tuple):
        return f"[{','.join(_text(each, known) for each in value)}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key!r}:{_text(each, known)}' for key, each in sorted(value.items()))}}}"
    assert value is None or isinstance(value, str | int | float | bool), type(value)
    return repr(value)
