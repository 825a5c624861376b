"""What a loop program means: runs it on NumPy arrays, before and after any pass.

Loops run one turn after the other, but for innermost nests around a single statement, which are evaluated at once where that
gives the same result. Loops that are bound to a GPU's threads are run by gpu/lockstep.py. What was never written holds a
fixed pattern, so that a program which reads it does not pass by luck.
"""

import math
from collections.abc import Mapping
from math import prod

import numpy as np

from weft.isa.config import LUT_BYTES
from weft.isa.quantise import HALF_AWAY, HALF_EVEN, HALF_UP, QNT_LANE, requantise, unpack_lanes
from weft.isa.table import shift_right
from weft.runtime.layout import LUT_TABLE

from .expr import COMPARISONS, Binary, Call, Cast, Const, Expr, Load, Select, Var, walk
from .schedule import THREADS
from .stmt import Alloc, Buffer, For, If, LoopProgram, Seq, Stmt, Store

DTYPES = {"qnt": QNT_LANE, "lut": LUT_TABLE,
          **{name: np.dtype(name) for name in ("bool", "int8", "uint8", "int32", "int64", "float32", "float64")}}
UNWRITTEN = 0x5A
AT_ONCE = 1 << 20  # turns of a nest that are evaluated at once

_OPERATIONS = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "floordiv": np.floor_divide, "mod": np.mod, "min": np.minimum,
    "max": np.maximum, "ge": np.greater_equal, "lt": np.less, "eq": np.equal, "and": np.logical_and,
    "div": np.divide,
}


def _requantised(acc, scale, rounding, zero_point, minimum, maximum, way=0):
    """weft.isa.quantise.requantise with scale = multiplier / 2**shift in float64; the product is exact."""
    product = np.asarray(acc, np.int32) * np.asarray(scale, np.float64)
    whole = {HALF_UP: lambda x: np.floor(x + 0.5), HALF_EVEN: np.rint,
             HALF_AWAY: lambda x: np.trunc(x + np.copysign(0.5, x))}[rounding](product)
    return np.clip(whole + zero_point, minimum, maximum).astype(np.int32)


# What functions of values mean: (values.., attributes by name) -> array. Those of floats are computed in float64, and rounded
# once.
CALLS = {
    "abs": np.abs, "ceil": np.ceil, "cos": np.cos, "erf": np.vectorize(math.erf, otypes=[np.float64]), "exp": np.exp,
    "expm1": np.expm1, "floor": np.floor, "log": np.log, "round": np.rint, "rsqrt": lambda x: 1 / np.sqrt(x),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "sin": np.sin, "softplus": lambda x: np.logaddexp(x, 0), "sqrt": np.sqrt,
    "tanh": np.tanh, "trunc": np.trunc, "requantise": _requantised,
}
_REDUCTIONS = {"add": np.add, "max": np.maximum, "min": np.minimum}

Environment = dict[Var, np.ndarray]


def run(program: LoopProgram, arrays: Mapping[str, np.ndarray]):
    """Runs the program on its arguments, in place.

    Parameters
    ----------
    arrays: for each name in program.arguments an array of as many values as the buffer, contiguous, in the physical layout.
        Where the buffer has strides, of as many as there are from the first one in memory to the last, gaps included.

    Raises
    ------
    IndexError: where the program leaves a buffer.
    """
    if _has_threads(program.body):
        from .gpu import lockstep  # it derives from the interpreter

        return lockstep.run(program, arrays)
    Interpreter(bind(program, arrays)).run(program.body, {})


def bind(program: LoopProgram, arrays: Mapping[str, np.ndarray]) -> dict[Buffer, np.ndarray]:
    """The arguments' memory by their buffers. ValueError for an array of another dtype or size."""
    memory = {}
    for name, buffer in program.arguments.items():
        array = arrays[name]
        if buffer.strides:
            memory[buffer] = _strided(name, buffer, array)
            continue
        if array.dtype != DTYPES[buffer.dtype] or array.size != prod(buffer.shape):
            raise ValueError(f"{name} must be {buffer.dtype} of shape {buffer.shape}, not {array.dtype} of {array.shape}")
        view = array.view()
        view.shape = buffer.shape  # a copy would lose what is written; this raises instead
        memory[buffer] = view
    return memory


class Interpreter:
    def __init__(self, memory: dict[Buffer, np.ndarray]):
        self.memory = memory

    def run(self, stmt: Stmt, at: Environment):
        match stmt:
            case Seq(body):
                for s in body:
                    self.run(s, at)
            case Alloc(buffer, body):
                self.memory[buffer] = unwritten(buffer)
                self.run(body, at)
                del self.memory[buffer]
            case For():
                self._loop(stmt, at)
            case If(condition, body):
                if self._value(condition, at):
                    self.run(body, at)
            case Store():
                self._store(stmt, at, (), ())
            case _:
                self.run(stmt.meaning, at)

    def _loop(self, loop: For, at: Environment):
        nest, store = _nest(loop)
        if store is not None:
            extents = [self._extent(n, at) for n in nest]
            if None not in extents and prod(extents) <= AT_ONCE and self._store(store, at, [n.var for n in nest], extents):
                return
        for turn in range(int(self._value(loop.extent, at))):
            self.run(loop.body, {**at, loop.var: np.int64(turn)})

    def _extent(self, loop: For, at: Environment) -> int | None:
        """None where it depends on a loop of the same nest."""
        if any(isinstance(e, Var) and e not in at for e in walk(loop.extent)):
            return None
        return max(int(self._value(loop.extent, at)), 0)

    def _store(self, store: Store, at: Environment, variables, extents) -> bool:
        """Runs a store for all values of the variables at once. False, with nothing done, where turns may depend."""
        if 0 in extents:
            return True
        grid = {v: np.arange(n).reshape([-1 if i == k else 1 for i in range(len(extents))])
                for k, (v, n) in enumerate(zip(variables, extents))}
        used = {e for i in store.indices for e in walk(i) if isinstance(e, Var)}
        reduced = tuple(k for k, v in enumerate(variables) if v not in used and extents[k] > 1)
        value, operation = store.value, None
        own = [e.indices for e in walk(value) if isinstance(e, Load) and e.buffer is store.buffer]
        if variables and (reduced or any(indices != store.indices for indices in own)):
            operation, value = accumulation(store)
            if operation is None:
                return False
        env = {**at, **grid}
        indices = np.broadcast_arrays(*(self._value(i, env) for i in store.indices), np.zeros((1,) * len(extents)))[:-1]
        array = self.memory[store.buffer]
        flat = self._flat(store.buffer, indices)
        if flat.size != prod(n for k, n in enumerate(extents) if k not in reduced) or not _distinct(flat, array.size):
            return False
        values = np.broadcast_to(self._value(value, env), tuple(extents) or ())
        if operation is not None:
            values = operation.reduce(values, axis=reduced, keepdims=True) if reduced else values
            values = operation(array.reshape(-1)[flat], values)
        array.reshape(-1)[flat] = values
        return True

    def _flat(self, buffer: Buffer, indices) -> np.ndarray:
        flat = np.int64(0)
        low = buffer.low or (0,) * len(buffer.shape)
        for d, (index, size, below, stride) in enumerate(zip(indices, buffer.shape, low, strides_of(buffer))):
            index = np.asarray(index)
            if index.size and (index.min() < -below or index.max() >= size):
                raise IndexError(f"{buffer.name}: index {index.min()} to {index.max()} on axis {d} of {size}")
            flat = flat + (index + below) * stride
        return flat

    def _load(self, buffer: Buffer, indices, where) -> np.ndarray:
        return self.memory[buffer].reshape(-1)[self._flat(buffer, indices)]

    def _value(self, e: Expr, env: Environment, where=None):
        match e:
            case Const(value, dtype):
                return DTYPES[dtype].type(value) if dtype in DTYPES else np.int64(value)
            case Var():
                return env[e]
            case Load(buffer, indices):
                index = [self._value(i, env, where) for i in indices]
                if where is not None:
                    index = [np.where(where, i, 0) for i in index]
                return self._load(buffer, index, where)
            case Cast(to, a):
                return np.asarray(self._value(a, env, where)).astype(DTYPES[to])
            case Select(condition, then, otherwise):
                holds = np.asarray(self._value(condition, env, where))
                mask, unless = (holds, ~holds) if where is None else (holds & where, ~holds & where)
                return np.where(holds, self._value(then, env, mask), self._value(otherwise, env, unless))
            case Call(name, args, dtype, attrs):
                return self._call(name, [np.asarray(self._value(a, env, where)) for a in args], dtype, dict(attrs))
            case Binary("requant", a, lane):
                return requantise(self._value(a, env, where), **unpack_lanes(np.asarray(self._value(lane, env, where))))
            case Binary("lut", a, table):
                return _look_up(self._value(a, env, where), self._value(table, env, where))
            case Binary("shr", a, b):
                return shift_right(self._value(a, env, where), self._value(b, env, where))
            case Binary(op, a, b):
                left, right = self._value(a, env, where), self._value(b, env, where)
                if e.dtype == "int32" or op in COMPARISONS and a.dtype in ("int8", "uint8"):
                    left, right = np.asarray(left).astype(np.int32), np.asarray(right).astype(np.int32)
                return _OPERATIONS[op](left, right)
        raise TypeError(f"no meaning for {e}")

    def _call(self, name: str, values: list[np.ndarray], dtype: str, attrs: dict) -> np.ndarray:
        if DTYPES[dtype].kind == "f":
            values = [v.astype(np.float64) for v in values]
        with np.errstate(all="ignore"):
            return np.asarray(CALLS[name](*values, **attrs)).astype(DTYPES[dtype])


def _has_threads(stmt: Stmt) -> bool:
    """Whether a loop is bound; loops over blocks are the outermost ones, those over threads may have others around them."""
    match stmt:
        case Seq(body):
            return any(map(_has_threads, body))
        case For(kind=kind, body=body):
            return kind in THREADS or _has_threads(body)
        case Alloc(body=body) | If(body=body):
            return _has_threads(body)
    return False


def strides_of(buffer: Buffer) -> tuple[int, ...]:
    """Values from one index to the next, along each axis."""
    return buffer.strides or tuple(prod(buffer.shape[d + 1:]) for d in range(len(buffer.shape)))


def _strided(name: str, buffer: Buffer, array: np.ndarray) -> np.ndarray:
    if array.dtype != DTYPES[buffer.dtype] or array.size != buffer.span:
        raise ValueError(f"{name} must be {buffer.dtype} of {buffer.span} values, not {array.dtype} of {array.size}")
    flat = array.view()
    flat.shape = (-1,)
    return flat


def _look_up(acc: np.ndarray, table: np.ndarray) -> np.ndarray:
    entries = np.broadcast_to(table["entries"], (*np.shape(acc), LUT_BYTES))
    return np.take_along_axis(entries, (np.asarray(acc) & 255)[..., None], -1)[..., 0].astype(np.int32)


def _nest(loop: For) -> tuple[list[For], Store | None]:
    """The loops from here to a single store within; (.., None) where there is something else."""
    loops, inner = [], loop
    while isinstance(inner, For):
        loops.append(inner)
        inner = inner.body
        if not isinstance(inner, For | Store):
            inner = getattr(inner, "meaning", inner)
    return loops, inner if isinstance(inner, Store) else None


def accumulation(store: Store):
    """(ufunc, value) of `b[i] = op(b[i], value)`, if value does not read b; else (None, _)."""
    value = store.value
    if isinstance(value, Binary) and value.op in _REDUCTIONS and value.a == Load(store.buffer, store.indices):
        if not any(isinstance(e, Load) and e.buffer is store.buffer for e in walk(value.b)):
            return _REDUCTIONS[value.op], value.b
    return None, None


def _distinct(flat: np.ndarray, size: int) -> bool:
    if flat.size > size:
        return False
    seen = np.zeros(size, bool)
    seen[flat] = True
    return int(seen.sum()) == flat.size


def unwritten(buffer: Buffer) -> np.ndarray:
    values = np.full(buffer.span * DTYPES[buffer.dtype].itemsize, UNWRITTEN, np.uint8).view(DTYPES[buffer.dtype])
    return values if buffer.strides else values.reshape(buffer.shape)
