"""Emission of one loop program: the loops outside of the leaves are walked, and virtual threads are woven.

Every operation stands at a place of the program: the turns of the loops around it and the statements that they are in, turns
of vthread loops left out. Weaving sorts by place, so that the same statement of all threads comes in a row. Statements in a
row that one module runs alone are one place: a thread has all of its loads before the next one begins with its own, for the
module runs in order, and would else wait for the second thread's memory with half of the first one's tile.
"""

from collections.abc import Callable, Mapping

from weft.isa import Config, Module, WeftError

from .environment import Env, Environment
from .leaf_emitters import Context, emitter_of, module_of_leaf
from .passes import PlacedAlloc, TensorInstr
from .stmt import Buffer, For, LoopProgram, Seq, Stmt
from .tokens import Operation
from .uop_buffer import Call

Place = tuple[int, ...]
Emitter = Callable[[Env, Place], None]


class ProgramEmitter:
    """Compiles a program whose leaves are tensor instructions, and runs it into operations.

    Raises
    ------
    WeftError: for an argument without an address, or at one that is no multiple of its element.
    """

    def __init__(self, program: LoopProgram, addresses: Mapping[str, int], config: Config, layer: int):
        subject = f"program '{program.name}'"
        self.context = Context(subject, config, layer, Environment(subject))
        self.items: list[tuple[Place, Operation | Call]] = []
        self.woven = False
        for name, buffer in program.arguments.items():
            self.context.bases[buffer] = self._dram_base(name, buffer, addresses)
        self.run = self._compile(program.body)

    def emit(self) -> list[Operation | Call]:
        """All operations, virtual threads woven, in an order that is right when run one after the other."""
        self.items.clear()
        self.run(self.context.environment.fresh(), ())
        if self.woven:  # what stands at one place keeps its order
            self.items.sort(key=lambda item: item[0])
        return [item for _, item in self.items]

    def _dram_base(self, name: str, buffer: Buffer, addresses: Mapping[str, int]) -> int:
        subject = f"{self.context.subject}, tensor '{name}'"
        if name not in addresses:
            raise WeftError(subject, "every argument has an address", "none", "a memory plan that holds it")
        size = element_bytes(buffer, self.context.config)
        if addresses[name] % size:
            raise WeftError(subject, f"its address is a multiple of its element, {size} bytes", hex(addresses[name]),
                            "page-aligned addresses")
        return addresses[name] // size

    def _compile(self, stmt: Stmt, together: bool = False) -> Emitter:
        """together: everything that comes out stands at the place that it is called with."""
        match stmt:
            case TensorInstr():
                return self._leaf(stmt)
            case For():
                return self._loop(stmt, together)
        return self._sequence(self._parts(stmt), together)

    def _parts(self, stmt: Stmt) -> list[Stmt]:
        """The statements of nested sequences and allocations, as one sequence."""
        match stmt:
            case PlacedAlloc(buffer, body, base):
                self.context.bases[buffer] = base
                return self._parts(body)
            case Seq(body):
                return [part for s in body for part in self._parts(s)]
        return [stmt]

    def _leaf(self, leaf: TensorInstr) -> Emitter:
        items, emit = self.items, emitter_of(leaf, self.context).emit

        def run(env: Env, place: Place):
            items.extend([(place, operation) for operation in emit(env)])

        return run

    def _sequence(self, parts: list[Stmt], together: bool) -> Emitter:
        modules = [modules_of(part) for part in parts]
        alone = [together or len(m) == 1 for m in modules]
        emitters = [self._compile(part, a) for part, a in zip(parts, alone)]
        places = [0] * len(parts)
        for k in range(1, len(parts)):
            joined = alone[k] and alone[k - 1] and modules[k] == modules[k - 1]
            places[k] = places[k - 1] + (not joined)

        def run(env: Env, place: Place):
            for at, emitter in zip(places, emitters):
                emitter(env, place if together else (*place, at))

        return run

    def _loop(self, loop: For, together: bool) -> Emitter:
        environment = self.context.environment
        extent, slot = environment.value(loop.extent), environment.slot(loop.var)
        body = self._compile(loop.body, together)
        same_place = together or loop.kind == "vthread"
        self.woven |= loop.kind == "vthread"

        def run(env: Env, place: Place):
            for turn in range(extent(env)):
                env[slot] = turn
                body(env, place if same_place else (*place, turn))

        return run


def modules_of(stmt: Stmt) -> set[Module]:
    """The modules that run a statement's leaves."""
    match stmt:
        case TensorInstr():
            return {module_of_leaf(stmt)}
        case For(body=body) | PlacedAlloc(body=body):
            return modules_of(body)
        case Seq(body):
            return {m for s in body for m in modules_of(s)}
    raise TypeError(f"the passes leave no {type(stmt).__name__}")


def element_bytes(buffer: Buffer, config: Config) -> int:
    """Bytes of one element of a buffer in DRAM."""
    lanes = 1
    for extent in buffer.shape[len(buffer.shape) - buffer.element_rank:]:
        lanes *= extent
    return lanes * {"int8": 1, "int32": 4}.get(buffer.dtype, config.qnt_bytes // config.block_out)
