import numpy as np
import pytest

from weft.compiler import te
from weft.compiler.cpu.identity import SOURCES, text
from weft.compiler.cpu.kernel import View, plain
from weft.compiler.lower import lower
from weft.compiler.schedule import Schedule
from weft.compiler.stmt import LoopProgram


def program(names: str = "xy", view: View = plain("float32", (4, 8)), factor: float = 2.0, split: int = 4, swap: bool = False) -> LoopProgram:
    """y = x * factor, or, swapped, its transpose where the shape allows."""
    x = view.placeholder(names[0])
    y = te.compute(names[1], {"i": 4, "j": 8}, lambda i, j: (x[j % 4, i] if swap else x[i, j]) * np.float32(factor), 0)
    schedule = Schedule(y)
    schedule[y].split(y.axes[1], split)
    return lower(schedule, names, {names[0]: x, names[1]: y})


def test_names_do_not_count():
    assert text(program("xy")) == text(program("ab"))


@pytest.mark.parametrize("other", [{"factor": 3.0}, {"split": 2}, {"view": View("float32", (4, 8), (16, 1))}, {"swap": True},
                                   {"view": View("float32", (4, 8), (8, 1), 0, ((0, 1), (0, 0)))}])
def test_what_makes_other_code_counts(other):
    assert text(program(**other)) != text(program())


def test_the_same_name_twice_is_two_variables():
    x = plain("float32", (4, 4)).placeholder("x")
    same = te.compute("y", {"i": 4, "k": 4}, lambda i, k: x[i, k], 0)
    both = [te.compute("y", {"i": 4, "i ": 4}, define, 0) for define in (lambda a, b: x[a, b], lambda a, b: x[b, a])]
    texts = [text(lower(Schedule(y), "p", {"x": x, "y": y})) for y in (same, *both)]
    assert texts[0] == texts[1] != texts[2]


def test_sources_are_known():
    assert len(SOURCES) == 64
