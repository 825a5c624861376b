"""Sign extension, in the form that simulators do at once."""

from amaranth import Cat, Const


def sign_extended(value, width: int):
    """The signed `value` in `width` bits. As a shift, which simulators do at once; a copy of each bit is slow."""
    value = value.as_value() if hasattr(value, "as_value") else value
    missing = width - len(value)
    return Cat(Const(0, missing), value).as_signed() >> missing if missing else value.as_signed()
