"""Where a network may run: `parse("accel,cpu")`, and the forms of machine code that a module carries.

accel   the accelerator
cpu     machine code for the host's CPU
gpu     PTX for an NVIDIA GPU

What no target can do stays on the host, by NumPy. The first target that can run an operator has it.
"""

from weft.isa import WeftError
from weft.llvm import machine
from weft.llvm.machine import Form

TARGETS = (("accel",), ("accel", "cpu"), ("cpu",), ("accel", "gpu"), ("gpu",))
DEFAULT = "accel,cpu"
NATIVE = "native"


def parse(text: "str | tuple[str, ...] | None") -> tuple[str, ...]:
    """The targets of a list with commas, in their order; None is DEFAULT. WeftError for one that is none of TARGETS."""
    text = DEFAULT if text is None else text
    names = tuple(part.strip() for part in text.split(",")) if isinstance(text, str) else tuple(text)
    if names not in TARGETS:
        raise WeftError(f"target '{','.join(names)}'", f"a target is one of {'; '.join(map(','.join, TARGETS))}",
                        repr(",".join(names)), "one of these")
    return names


def forms(cpu: str | None = None) -> list[Form]:
    """The forms to make code for.

    Parameters
    ----------
    cpu: an architecture ("x86-64"), for all of its forms, of which the fastest that a CPU can run is chosen when a module is
        loaded; "native" for the fastest that this CPU can run; None for this CPU's architecture.

    Raises
    ------
    WeftError: for an architecture that has no forms.
    """
    if cpu == NATIVE:
        return [machine.choose()]
    architecture = machine.choose().architecture if cpu is None else cpu.replace("-", "_")
    found = [form for form in machine.FORMS.values() if form.architecture == architecture]
    if not found:
        known = dict.fromkeys(form.architecture.replace("_", "-") for form in machine.FORMS.values())
        raise WeftError(f"CPU '{cpu}'", f"a CPU is one of {NATIVE}, {', '.join(known)}", repr(cpu), "one of these")
    return found
