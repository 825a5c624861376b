"""`view`: the same values in another order, shape or zero point; packing and unpacking a tensor applies it on the way."""

import numpy as np

from .registry import kernel

FLIP = np.uint8(128)


def rearrange(x: np.ndarray, steps: tuple) -> np.ndarray:
    """x seen otherwise, without a copy where NumPy can do without; not contiguous in general.

    steps: applied one after the other; each is ("transpose", perm), ("reshape", shape) or ("flip",), which reads uint8 as the int8
    of the same real numbers with a zero point lower by 128, and int8 as uint8 likewise.
    """
    for step, *argument in steps:
        if step == "transpose":
            x = x.transpose(argument[0])
        elif step == "reshape":
            x = x.reshape(argument[0])
        else:
            assert step == "flip", step
            x = (x.view(np.uint8) ^ FLIP).view(np.int8 if x.dtype == np.uint8 else np.uint8)
    return x


@kernel("view")
def view(attrs, x):
    """attrs: steps, as for `rearrange`."""
    return (np.ascontiguousarray(rearrange(x, attrs["steps"])),)
