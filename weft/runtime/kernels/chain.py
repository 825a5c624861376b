"""`chain`: several operators of real numbers that follow one another point by point, as one."""

from .registry import KERNELS, kernel


@kernel("chain")
def chain(attrs, *arrays):
    """attrs: steps, for each a mapping with op, its attrs, and its inputs: numbers of the chain's inputs, then of the steps'
    results (the first step's comes after the last input). The last step's result is the chain's."""
    values = list(arrays)
    for step in attrs["steps"]:
        values += KERNELS[step["op"]](step["attrs"], *(values[i] for i in step["inputs"]))
    return (values[-1],)
