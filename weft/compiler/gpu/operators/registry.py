"""The table of operators that have schedules for GPUs, filled by the modules beside it as they are imported.

An entry is one of a CPU's table, but that `build` takes no form: (node, graph, views) to kernels, where views tells of each
tensor that is no constant where it lies.
"""

from ...cpu.operators.registry import Operator, entering

OPERATORS: dict[str, Operator] = {}
operator = entering(OPERATORS)
