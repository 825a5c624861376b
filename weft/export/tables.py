"""Values of Python as tables of C."""

import re
from collections.abc import Iterable, Sequence

from weft.llvm.machine import FORMS, Form

FEATURES = sorted({name for form in FORMS.values() if form.architecture == "x86_64" for name in form.features})


def identifier(text: str) -> str:
    """`text` as a name in C."""
    name = re.sub(r"\W", "_", text, flags=re.ASCII)
    return f"_{name}" if not name or name[0].isdigit() else name


def comment(text: str) -> str:
    """`text` within a comment: ASCII, and nothing that ends it."""
    return text.encode("ascii", "replace").decode().replace("*/", "* /").replace("\n", " ").replace("\\", "/")


def row(values: Iterable) -> str:
    """{1, 2, {3, 4}} of ints, strings that are C already, and sequences."""
    return "{" + ", ".join(v if isinstance(v, str) else row(v) if isinstance(v, Sequence) else str(int(v)) for v in values) + "}"


def table(declaration: str, rows: Iterable[Iterable], never: str = "") -> str:
    """A constant array, declared as 'int name[]'. C has no empty ones, so there is a row `never` where there are none."""
    lines = [f"    {row(r)}," for r in rows] or [f"    {never},"]
    return "\n".join([f"static const {declaration} = {{", *lines, "};\n"])


def features() -> str:
    """cpu_features.h: the bit of each feature that a form of code for x86-64 may need."""
    return "".join(f'WEFT_FEATURE({k}, "{name}")\n' for k, name in enumerate(FEATURES))


def needs(form: Form) -> int:
    """What a CPU must have for a form, as the bits of `features`. Other machines than x86-64 have one form only."""
    return sum(1 << FEATURES.index(name) for name in form.features) if form.architecture == "x86_64" else 0
