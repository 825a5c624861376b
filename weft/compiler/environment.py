"""Index expressions compiled to functions of the loop variables' values."""

from collections.abc import Callable, Mapping

from weft.isa import WeftError

from .expr import Binary, Expr, Var, affine

Env = list[int]  # the values of loop variables, by slot
Value = Callable[[Env], int]

_OPERATIONS = {
    "min": lambda a, b: lambda env: min(a(env), b(env)),
    "max": lambda a, b: lambda env: max(a(env), b(env)),
    "add": lambda a, b: lambda env: a(env) + b(env),
    "sub": lambda a, b: lambda env: a(env) - b(env),
    "mul": lambda a, b: lambda env: a(env) * b(env),
}


class Environment:
    """Slots of the loop variables of one program. `subject` is what messages call it."""

    def __init__(self, subject: str):
        self.subject = subject
        self._slots: dict[Var, int] = {}

    def slot(self, variable: Var) -> int:
        """The variable's slot; a new one for a new variable."""
        return self._slots.setdefault(variable, len(self._slots))

    def fresh(self) -> Env:
        """Values for all variables so far."""
        return [0] * len(self._slots)

    def value(self, e: Expr) -> Value:
        """A function of the environment. WeftError for an expression that loops and indices do not have."""
        linear = affine(e)
        if linear is not None:
            return self.linear(*linear)
        if isinstance(e, Binary) and e.op in _OPERATIONS:
            return _OPERATIONS[e.op](self.value(e.a), self.value(e.b))
        raise WeftError(f"{self.subject}, expression '{e}'", "extents and indices are sums, products, minima and maxima",
                        f"'{getattr(e, 'op', e)}'", "a schedule without fused loops around an instruction")

    def linear(self, terms: Mapping[Var, int], constant: int) -> Value:
        """constant + the sum of variables times coefficients."""
        pairs = tuple((self.slot(v), c) for v, c in terms.items())
        if not pairs:
            return lambda env: constant
        if len(pairs) == 1:
            (slot, factor), = pairs
            return lambda env: constant + env[slot] * factor

        def value(env: Env) -> int:
            total = constant
            for slot, factor in pairs:
                total += env[slot] * factor
            return total

        return value
