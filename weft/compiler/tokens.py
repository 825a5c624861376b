"""Dependency tokens, derived from what instructions touch. Nobody writes a push or a pop.

Operations come in an order that is right when done one after the other. Wherever two modules touch the same element or byte,
and one of them writes, the later one must wait: it pops a token that the earlier one pushes. Three facts keep this small:
a module runs in order, so waiting for the latest conflicting operation is enough; what a module has learned it keeps; and a
token carries all that its sender knew (a clock with one entry a module). Pairs are made in stream order and with rising
senders, so the k-th push of a queue always meets the k-th pop, and every wait looks back, so nothing can deadlock.

Load and store share no queue: a hazard between them goes through the compute module, by an operation that does nothing
where no other one there carries the knowledge.
"""

from bisect import bisect_left
from dataclasses import dataclass, field

import numpy as np

from weft.isa import Config, Memory, Module, Opcode
from weft.isa.happens_before import POPS, PUSHES
from weft.isa.registers import TOKEN_QUEUE_DEPTH

LOAD, COMPUTE, STORE = Module.LOAD, Module.COMPUTE, Module.STORE
FLAGS = {(p_module, c_module): (push, pop)  # of the sender and of the receiver, by the modules that share a queue
         for p_module, pushes in PUSHES.items() for push, queue in pushes.items()
         for c_module, pops in POPS.items() for pop, other in pops.items() if queue == other}


@dataclass(frozen=True)
class DramBlock:
    """`rows` rows of `size` bytes that begin `stride` bytes apart, the first one at byte `start`."""

    start: int
    rows: int
    size: int
    stride: int

    @property
    def end(self) -> int:
        return self.start + (self.rows - 1) * self.stride + self.size


@dataclass(slots=True, eq=False)
class Operation:
    """An instruction in the making, with what it touches.

    reads, writes: (scratchpad, first element, the one after the last); OUT counts as 'acc'.
    dram: what it reads (LOAD) or writes (STORE).
    """

    opcode: Opcode
    fields: dict[str, int]
    module: Module
    layer: int
    reads: tuple[tuple[str, int, int], ...] = ()
    writes: tuple[tuple[str, int, int], ...] = ()
    dram: DramBlock | None = None
    clock: list[int] = field(default_factory=list)  # latest operation of each module known done when this one is done


def derive(operations: list[Operation], config: Config) -> list[Operation]:
    """The operations with tokens and, at the end, a FINISH that waits for all of them. Tokens balance.

    The operations are changed in place; some that do nothing may be added between them.
    """
    derivation = _Derivation(operations, config)
    for operation in operations:
        derivation.add(operation)
    derivation.finish(operations[-1].layer if operations else 0)
    return derivation.stream


class _Derivation:
    def __init__(self, operations: list[Operation], config: Config):
        self.stream: list[Operation] = []
        self.clocks = {m: [-1, -1, -1] for m in Module}  # what each module knows so far
        self.learned: dict[Module, tuple[list[int], list[int]]] = {LOAD: ([], []), STORE: ([], [])}
        self.last_push = dict.fromkeys(FLAGS, -1)
        self.pops: dict[tuple[Module, Module], list[int]] = {key: [] for key in FLAGS}
        self.memory = _LastTouched(operations, config)

    def add(self, operation: Operation):
        needs = self.memory.conflicts(operation)
        self._wait(operation, needs)
        index = self._append(operation)
        self.memory.touch(operation, index)

    def finish(self, layer: int):
        finish = Operation(Opcode.FINISH, {}, COMPUTE, layer)
        last = {m: self.clocks[m][m] for m in (LOAD, STORE)}
        self._wait(finish, [last[LOAD], -1, last[STORE]])
        self._append(finish)

    def _append(self, operation: Operation) -> int:
        module, index = operation.module, len(self.stream)
        clock = self.clocks[module]
        clock[module] = index
        operation.clock = list(clock)
        self.stream.append(operation)
        if module == COMPUTE:
            for other, (values, senders) in self.learned.items():
                if clock[other] > (values[-1] if values else -1):
                    values.append(clock[other])
                    senders.append(index)
        return index

    def _wait(self, operation: Operation, needs: list[int]):
        """Makes `operation`, which comes next, wait for the operation `needs[m]` of every module m."""
        module = operation.module
        clock = self.clocks[module]
        if module != COMPUTE:
            far = STORE if module == LOAD else LOAD
            if needs[far] > clock[far]:
                needs = list(needs)
                needs[COMPUTE] = max(needs[COMPUTE], self._carrier(far, needs[far], operation.layer))
        senders = [m for m in Module if m != module and needs[m] > clock[m] and (m, module) in FLAGS]
        if len(senders) == 2 and self.stream[needs[senders[1]]].clock[senders[0]] >= needs[senders[0]]:
            senders.reverse()  # the second one's token carries what is needed of the first
        for sender in senders:
            if needs[sender] > clock[sender]:
                self._pair(needs[sender], sender, operation)

    def _carrier(self, far: Module, needed: int, layer: int) -> int:
        """A compute operation that is done after operation `needed` of module `far`."""
        values, senders = self.learned[far]
        at = bisect_left(values, needed)
        if at < len(values):
            return senders[at]
        idle = Operation(Opcode.LOAD, {"memory_type": Memory.UOP}, COMPUTE, layer)
        needs = [-1, -1, -1]
        needs[far] = needed
        self._wait(idle, needs)
        return self._append(idle)

    def _pair(self, sender: int, module: Module, receiver: Operation):
        """A push on operation `sender` of `module` and a pop on `receiver`, which comes next."""
        key = (module, receiver.module)
        pops = self.pops[key]
        if len(pops) >= TOKEN_QUEUE_DEPTH - 1 and pops[1 - TOKEN_QUEUE_DEPTH] > sender:
            # The queue could fill up. Waiting for all of the module so far empties it: its next push comes after this pop.
            sender = self.clocks[module][module]
        assert sender > self.last_push[key], "senders of a queue rise"
        self.last_push[key] = sender
        pops.append(len(self.stream))
        push, pop = FLAGS[key]
        self.stream[sender].fields[push] = 1
        receiver.fields[pop] = 1
        clock, known = self.clocks[receiver.module], self.stream[sender].clock
        for m in Module:
            clock[m] = max(clock[m], known[m])


class _LastTouched:
    """For each element of the scratchpads, and each granule of DRAM, the latest operation of each module that touched it."""

    def __init__(self, operations: list[Operation], config: Config):
        self.written = {"inp": (LOAD, np.full(config.inp_depth, -1, np.int64)),
                        "wgt": (LOAD, np.full(config.wgt_depth, -1, np.int64)),
                        "acc": (COMPUTE, np.full(config.acc_depth, -1, np.int64))}
        self.read = {"inp": (COMPUTE, np.full(config.inp_depth, -1, np.int64)),
                     "wgt": (COMPUTE, np.full(config.wgt_depth, -1, np.int64)),
                     "acc": (STORE, np.full(config.acc_depth, -1, np.int64))}
        self.dram = _Dram(operations, config)

    def conflicts(self, operation: Operation) -> list[int]:
        """The latest operation of each module that `operation` must come after; -1 where there is none.

        An operation's own module needs no waiting, so its own entry may be anything.
        """
        needs = [-1, -1, -1]
        for name, begin, end in operation.reads:
            module, last = self.written.get(name, (None, None))
            if module is not None and module != operation.module:
                needs[module] = max(needs[module], int(last[begin:end].max()))
        for name, begin, end in operation.writes:
            module, last = self.read.get(name, (None, None))
            if module is not None and module != operation.module:
                needs[module] = max(needs[module], int(last[begin:end].max()))
        if operation.dram is not None:
            self.dram.conflicts(operation.dram, operation.module, needs)
        return needs

    def touch(self, operation: Operation, index: int):
        for name, begin, end in operation.reads:
            module, last = self.read.get(name, (None, None))
            if module == operation.module:
                last[begin:end] = index
        for name, begin, end in operation.writes:
            module, last = self.written.get(name, (None, None))
            if module == operation.module:
                last[begin:end] = index
        if operation.dram is not None:
            self.dram.touch(operation.dram, operation.module, index)


class _Dram:
    """The part of DRAM that is stored to; the rest is only ever read."""

    def __init__(self, operations: list[Operation], config: Config):
        self.granule = config.out_bytes  # what is stored consists of these
        stored = [o.dram for o in operations if o.module == STORE and o.dram]
        self.stored = min((b.start for b in stored), default=0), max((b.end for b in stored), default=0)
        meeting = [o.dram for o in operations if o.dram and self._meets(o.dram)]
        self.low = min((b.start for b in meeting), default=0) // self.granule
        high = -(-max((b.end for b in meeting), default=0) // self.granule)
        self.last = {m: np.full(high - self.low, -1, np.int32) for m in Module}

    def _meets(self, block: DramBlock) -> bool:
        low, high = self.stored
        return block.start < high and low < block.end

    def _view(self, block: DramBlock, last: np.ndarray) -> np.ndarray | None:
        """The granules of a block, as [rows, granules of a row] or flat; None where nobody stores."""
        if not self._meets(block):
            return None
        g = self.granule
        begin, end = block.start // g - self.low, -(-block.end // g) - self.low
        if block.rows == 1 or block.start % g or block.size % g or block.stride % g or block.stride <= block.size:
            return last[begin:end]
        return np.ndarray((block.rows, block.size // g), last.dtype, last, begin * last.itemsize,
                          (block.stride // g * last.itemsize, last.itemsize))

    def conflicts(self, block: DramBlock, module: Module, needs: list[int]):
        for other in (LOAD, COMPUTE) if module == STORE else (STORE,):
            view = self._view(block, self.last[other])
            if view is not None:
                needs[other] = max(needs[other], int(view.max()))

    def touch(self, block: DramBlock, module: Module, index: int):
        view = self._view(block, self.last[module])
        if view is not None:
            view[...] = index
