"""Loop programs by hand, and running them on the functional device and in the interpreter."""

from collections.abc import Callable

import numpy as np

from weft.compiler.codegen import generate
from weft.compiler.expr import Const, Load, Var
from weft.compiler.interpret import run
from weft.compiler.stmt import Alloc, Buffer, For, LoopProgram, Seq, Stmt, Store
from weft.isa import Config, encode
from weft.isa.check import check
from weft.sim.functional import FunctionalDevice

PAGE = 4096


def const(value: int) -> Const:
    """An int32 constant."""
    return Const(value, "int32")


def loops(axes: list[tuple[str, int]], body: Callable[..., Stmt], kinds: dict[str, str] | None = None,
          mark: str | None = None) -> Stmt:
    """A nest over `axes`, (name, extent) from the outside; body takes the variables. The last axis but one is marked."""
    variables = [Var(name) for name, _ in axes]
    stmt = body(*variables)
    for k, (v, (name, extent)) in reversed(list(enumerate(zip(variables, axes)))):
        extent = Const(extent) if isinstance(extent, int) else extent
        stmt = For(v, extent, stmt, (kinds or {}).get(name, "serial"), mark if k == len(axes) - 2 else None)
    return stmt


def element_nest(config: Config, axes: list[tuple[str, int]], body: Callable[..., Stmt], mark: str | None = None) -> Stmt:
    """A nest over `axes` and over the lanes of an accumulator."""
    return loops([*axes, ("n", config.batch), ("c", config.block_out)], body, mark=mark)


def finish(config: Config, count: int, body: Callable[[Buffer], Stmt]) -> LoopProgram:
    """y = int8(what `body` makes of x in accumulators), for `count` elements."""
    shape = (count, config.batch, config.block_out)
    x, y, acc = Buffer("x", shape, "int8"), Buffer("y", shape, "int8"), Buffer("acc", shape, "int32", "acc")
    load = element_nest(config, [("i", count)], lambda i, n, c: Store(acc, (i, n, c), Load(x, (i, n, c)).astype("int32")))
    store = element_nest(config, [("i", count)], lambda i, n, c: Store(y, (i, n, c), Load(acc, (i, n, c)).astype("int8")))
    return LoopProgram("test", {"x": x, "y": y}, Alloc(acc, Seq([load, body(acc), store])))


def arrays_of(program: LoopProgram, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The given arguments, copied, and zeros for the others."""
    return {name: given[name].copy() if name in given else np.zeros(b.shape, b.dtype)
            for name, b in program.arguments.items()}


def run_on_device(program: LoopProgram, given: dict[str, np.ndarray], config: Config) -> dict[str, np.ndarray]:
    """All arguments after the generated code ran; the static checker has nothing to say about it."""
    arrays, addresses, at = arrays_of(program, given), {}, PAGE
    for name, array in arrays.items():
        addresses[name] = at
        at += -(-array.nbytes // PAGE) * PAGE
    stream = generate([program], addresses, config, at)
    code = encode(stream.instructions, config)
    insn_address = at + -(-stream.micro_ops.nbytes // PAGE) * PAGE
    device = FunctionalDevice(config, insn_address + code.nbytes + PAGE)
    for name, array in arrays.items():
        device.write(addresses[name], array)
    device.write(at, stream.micro_ops)
    device.write(insn_address, code)
    assert check(stream.instructions, config, device.dram) == []
    device.launch(insn_address, len(stream.instructions))
    return {name: device.read(addresses[name], a.nbytes).view(a.dtype).reshape(a.shape) for name, a in arrays.items()}


def run_interpreted(program: LoopProgram, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All arguments after the interpreter ran the program."""
    arrays = arrays_of(program, given)
    run(program, arrays)
    return arrays
