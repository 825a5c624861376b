"""Operator by operator against ONNX Runtime and LiteRT: one unit apart at most, and 99 % of the values equal."""

import pytest

from . import onnx_cases, tflite_cases
from .comparing import Case, compare

pytestmark = pytest.mark.runtimes
EQUAL = 0.99
# LiteRT as it runs by default, but for changes of scale: XNNPACK multiplies there by eight bits only
YARDSTICKS = {"change of scale": "LiteRT reference"}
GROUPS = [(cases, group) for cases in (onnx_cases, tflite_cases) for group in cases.GROUPS]


def faults(case: Case) -> list[str]:
    found = []
    for runtime in case.runtimes:
        apart = compare(case, runtime)
        text = f"{case.name}, {runtime}: {apart.differing} of {apart.values} differ, by {apart.most} at most"
        held = not case.is_tflite or runtime == YARDSTICKS.get(case.family, "LiteRT")
        settles = case.ties == "rule" and runtime in ("ONNX Runtime, unfused", "LiteRT reference")
        if apart.most > 1 or not case.ties and held and apart.equal < EQUAL or settles and apart.differing:
            found.append(text)
    return found


@pytest.mark.parametrize(
    ("cases", "group"), GROUPS, ids=[f"{cases.__name__.split('.')[-1]}-{group.__name__}" for cases, group in GROUPS]
)
def test_operators(cases, group):
    found = [fault for case in group() for fault in faults(case)]
    assert not found, "\n".join(found)
