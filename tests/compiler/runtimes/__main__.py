"""The table of docs/numerics.md: how many values differ, by family of operators and runtime.

python -m tests.compiler.runtimes
"""

from . import onnx_cases, tflite_cases
from .comparing import LITERT, NONE, ONNX_RUNTIME, Apart, Case, compare


def table(cases: list[Case], runtimes: list[str]) -> list[str]:
    """Markdown; the values compared are as many in every column."""
    found: dict[str, dict[str, Apart]] = {}
    for case in cases:
        line = found.setdefault(case.family + ", ties" * (case.ties in ("rule", "noise")), dict.fromkeys(runtimes, NONE))
        for runtime in runtimes:
            line[runtime] += compare(case, runtime)
    lines = [f"| operator | values | {' | '.join(runtimes)} |", "| --- |" + " --- |" * (len(runtimes) + 1)]
    for family, columns in sorted(found.items()):
        assert max(apart.most for apart in columns.values()) <= 1, family
        lines.append(f"| {family} | {columns[runtimes[0]].values:,} | {' | '.join(share(a) for a in columns.values())} |")
    return lines


def share(apart: Apart) -> str:
    """Of the values that differ."""
    percent = 100 * (1 - apart.equal)
    return f"{percent:.2f} %" if percent >= 0.01 else "< 0.01 %" if percent else "0"


if __name__ == "__main__":
    for groups, runtimes in ((onnx_cases.GROUPS, ONNX_RUNTIME), (tflite_cases.GROUPS, LITERT)):
        print("\n".join(table([case for group in groups for case in group()], list(runtimes))), end="\n\n")
