"""Emission of one loop program: loops outside of the leaves are walked with their values, virtual threads are woven."""

from collections.abc import Callable, Mapping

from weft.isa import Config, WeftError

from .environment import Env, Environment
from .leaf_emitters import Context, emitter_of
from .passes import PlacedAlloc, TensorInstr
from .stmt import Buffer, For, LoopProgram, Seq, Stmt
from .weave import Item, weave, weights_first

TWO_ENDED = ("inp", "wgt", "qnt")  # scratchpads; in ACC a place says more (passes/storage.py)

Emitter = Callable[[Env, list[Item]], None]  # appends the operations of a statement for these values of the loops around


class ProgramEmitter:
    """Compiles a program whose leaves are tensor instructions, and runs it into operations.

    Raises
    ------
    WeftError: for an argument without an address, or at one that is no multiple of its element.
    """

    def __init__(self, program: LoopProgram, addresses: Mapping[str, int], config: Config, layer: int):
        subject = f"program '{program.name}'"
        self.context = Context(subject, config, layer, Environment(subject))
        for name, buffer in program.arguments.items():
            self.context.bases[buffer] = self._dram_base(name, buffer, addresses)
        self._run = self._compile(program.body)

    def emit(self) -> list[Item]:
        """All operations, virtual threads woven, in an order that is right when run one after the other."""
        items: list[Item] = []
        self._run(self.context.environment.fresh(), items)
        return weights_first(items)

    def _dram_base(self, name: str, buffer: Buffer, addresses: Mapping[str, int]) -> int:
        subject = f"{self.context.subject}, tensor '{name}'"
        if name not in addresses:
            raise WeftError(subject, "every argument has an address", "none", "a memory plan that holds it")
        size = element_bytes(buffer, self.context.config)
        if addresses[name] % size:
            raise WeftError(subject, f"its address is a multiple of its element, {size} bytes", hex(addresses[name]),
                            "page-aligned addresses")
        return addresses[name] // size

    def _place(self, buffer: Buffer, base: int) -> int:
        """Layers take turns at the two ends of a scratchpad, so that one can load what the one before leaves free."""
        if self.context.layer % 2 == 0 or buffer.scope not in TWO_ENDED:
            return base
        return getattr(self.context.config, f"{buffer.scope}_depth") - base - buffer.elements

    def _compile(self, stmt: Stmt) -> Emitter:
        match stmt:
            case TensorInstr():
                emit = emitter_of(stmt, self.context).emit
                return lambda env, items: items.extend(emit(env))
            case PlacedAlloc(buffer, body, base, spacing):
                self.context.bases[buffer], self.context.spacings[buffer] = self._place(buffer, base), spacing
                return self._compile(body)
            case Seq(body):
                return self._sequence([self._compile(s) for s in body])
            case For():
                return self._loop(stmt)
        raise TypeError(f"the passes leave no {type(stmt).__name__}")

    def _sequence(self, parts: list[Emitter]) -> Emitter:
        def run(env: Env, items: list[Item]):
            for part in parts:
                part(env, items)

        return run

    def _loop(self, loop: For) -> Emitter:
        environment = self.context.environment
        extent, slot = environment.value(loop.extent), environment.slot(loop.var)
        body = self._compile(loop.body)

        def run(env: Env, items: list[Item]):
            for turn in range(extent(env)):
                env[slot] = turn
                body(env, items)

        def run_woven(env: Env, items: list[Item]):
            threads: list[list[Item]] = []
            for turn in range(extent(env)):
                env[slot] = turn
                threads.append([])
                body(env, threads[-1])
            # of four threads, 0 and 1 share a half of ACC (passes/storage.py); in turn come those of different halves
            items.extend(weave(threads[::2] + threads[1::2]))

        return run_woven if loop.kind == "vthread" else run


def element_bytes(buffer: Buffer, config: Config) -> int:
    """Bytes of one element of a buffer in DRAM."""
    lanes = 1
    for extent in buffer.shape[len(buffer.shape) - buffer.element_rank:]:
        lanes *= extent
    return lanes * {"int8": 1, "int32": 4, "lut": config.lut_bytes}.get(buffer.dtype, config.qnt_bytes // config.block_out)
