"""Values of Python as tables of C."""

import re
from collections.abc import Iterable, Sequence

from weft.llvm.machine import Form

EAX, EBX, ECX, EDX = range(4)
YMM, ZMM = 0x6, 0xE6  # bits of XCR0: the system saves these registers
FEATURES = {  # of x86-64, by LLVM's names: leaf of cpuid, register, bit, and what the system must save
    "sse2": (1, EDX, 26, 0), "sse3": (1, ECX, 0, 0), "ssse3": (1, ECX, 9, 0), "sse4.1": (1, ECX, 19, 0), "sse4.2": (1, ECX, 20, 0),
    "popcnt": (1, ECX, 23, 0), "avx": (1, ECX, 28, YMM), "fma": (1, ECX, 12, YMM), "f16c": (1, ECX, 29, YMM), "avx2": (7, EBX, 5, YMM),
    "bmi": (7, EBX, 3, 0), "bmi2": (7, EBX, 8, 0), "lzcnt": (0x80000001, ECX, 5, 0),
    "avx512f": (7, EBX, 16, ZMM), "avx512dq": (7, EBX, 17, ZMM), "avx512cd": (7, EBX, 28, ZMM), "avx512bw": (7, EBX, 30, ZMM),
    "avx512vl": (7, EBX, 31, ZMM), "avx512vbmi": (7, ECX, 1, ZMM), "avx512vnni": (7, ECX, 11, ZMM)}


def identifier(text: str) -> str:
    """`text` as a name in C."""
    name = re.sub(r"\W", "_", text, flags=re.ASCII)
    return f"_{name}" if not name or name[0].isdigit() else name


def comment(text: str) -> str:
    """`text` within a comment: ASCII, and nothing that ends it."""
    return text.encode("ascii", "replace").decode().replace("*/", "* /").replace("\n", " ").replace("\\", "/")


def string(text: str) -> str:
    """`text` as a literal, its bytes in UTF-8."""
    return '"' + "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in text.encode()) + '"'


def row(values: Iterable) -> str:
    """{1, 2, {3, 4}} of ints, strings that are C already, and sequences."""
    return "{" + ", ".join(v if isinstance(v, str) else row(v) if isinstance(v, Sequence) else str(int(v)) for v in values) + "}"


def table(declaration: str, rows: Iterable[Iterable], never: str = "") -> str:
    """A constant array, declared as 'int name[]'. C has no empty ones, so there is a row `never` where there are none."""
    lines = [f"    {row(r)}," for r in rows] or [f"    {never},"]
    return "\n".join([f"static const {declaration} = {{", *lines, "};\n"])


def features() -> str:
    """cpu_features.h: how each feature is asked for that a form of code for x86-64 may need, and its bit in `needs`."""
    return "".join(f"WEFT_FEATURE({k}, {leaf:#x}, {register}, {bit}, {saved:#x}u) /* {name} */\n"
                   for k, (name, (leaf, register, bit, saved)) in enumerate(FEATURES.items()))


def needs(form: Form) -> int:
    """What a CPU must have for a form, as bits. Other machines than x86-64 have one form only."""
    return sum(1 << list(FEATURES).index(name) for name in form.features) if form.architecture == "x86_64" else 0
