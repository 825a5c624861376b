"""The static checker: tokens balance, no deadlock, no race, every address in its buffer. It runs nothing of the program.

A race is two accesses to one element or byte, at least one of them a write, by two modules that no chain of program
order and tokens orders. Whoever made the program, compiler, tuner or hand, it is proved here apart from them.
"""

from dataclasses import dataclass

import numpy as np

from .config import Config
from .footprint import Footprint, Rows, dram_rows, footprint, sram_size, strays
from .happens_before import Order, analyse
from .program import Instruction, decode_micro_ops
from .registers import Queue
from .table import ALU_OPS, MAX_TAPS, MEMORIES, PADDABLE, Memory, Module, Opcode

GRANULE = 4  # bytes; no element is smaller
TOKENS = ("pop_prev", "pop_next", "push_prev", "push_next")


@dataclass(frozen=True)
class Finding:
    """One thing that the checker saw. level: 'error' (wrong or unsafe) or 'note' (allowed, and worth knowing)."""

    level: str
    instruction: int | None
    text: str

    def __str__(self):
        where = "program" if self.instruction is None else f"instruction {self.instruction}"
        return f"{self.level}: {where}: {self.text}"


def check(instructions: list[Instruction], config: Config, dram: np.ndarray, dram_base: int = 0) -> list[Finding]:
    """Every finding of a stream, errors and notes, in stream order as far as they have a place.

    Parameters
    ----------
    dram: uint8, the address space from byte `dram_base` on, with the micro-ops where LOAD UOP will find them.
    """
    return _Checker(instructions, config, dram, dram_base).run()


class _Checker:
    def __init__(self, instructions, config, dram, dram_base):
        self.instructions, self.config, self.dram, self.dram_base = instructions, config, dram, dram_base
        self.findings: list[Finding] = []

    def run(self) -> list[Finding]:
        finish = next((k for k, i in enumerate(self.instructions) if i.opcode == Opcode.FINISH), None)
        if finish is None:
            self._error(None, "no FINISH: the machine would never be done")
            return self.findings
        if finish + 1 < len(self.instructions):
            self._note(finish + 1, f"{len(self.instructions) - finish - 1} instructions stand behind FINISH")
        footprints = self._footprints()
        order = analyse(self.instructions)
        if order.stuck:
            self._error(None, f"deadlock: {order.stuck}")
            return self.findings
        for queue in Queue:
            if order.tokens[queue]:
                self._note(None, f"{order.tokens[queue]} tokens are left over in {queue.name.lower()}")
        self._done_at_finish(finish, order)
        _Races(self, order, footprints).run()
        return self.findings

    def _error(self, index: int | None, text: str):
        self.findings.append(Finding("error", index, text))

    def _note(self, index: int | None, text: str):
        self.findings.append(Finding("note", index, text))

    def _footprints(self) -> list[Footprint | None]:
        """Footprints in stream order, which for the compute module is the order in which micro-ops are loaded."""
        self.uop, self.uop_known = np.zeros(self.config.uop_depth, np.uint32), np.zeros(self.config.uop_depth, bool)
        self.computed: dict[tuple, Footprint] = {}
        return [self._footprint(k, i) for k, i in enumerate(self.instructions)]

    def _footprint(self, k: int, i: Instruction) -> Footprint | None:
        if i.opcode in (Opcode.LOAD, Opcode.LOAD_PAD, Opcode.STORE):
            return self._memory_footprint(k, i)
        if i.opcode not in (Opcode.GEMM, Opcode.ALU, Opcode.DEPTHWISE):
            return footprint(i, self.config)
        if i.opcode == Opcode.DEPTHWISE and not 1 <= i.taps <= min(self.config.block_in, MAX_TAPS):
            return self._error(k, f"taps {i.taps} are not from 1 to {min(self.config.block_in, MAX_TAPS)}")
        if i.opcode == Opcode.ALU and i.alu_opcode not in ALU_OPS:
            return self._error(k, f"alu_opcode {i.alu_opcode} is free")
        if i.uop_bgn >= i.uop_end or not i.iter_out or not i.iter_in:
            return None
        if i.uop_end > self.config.uop_depth:
            return self._error(k, f"uop_end {i.uop_end} is above uop depth {self.config.uop_depth}")
        if not self.uop_known[i.uop_bgn:i.uop_end].all():
            missing = i.uop_bgn + int(np.argmin(self.uop_known[i.uop_bgn:i.uop_end]))
            return self._error(k, f"micro-op {missing} is used, but nothing loaded it")
        kernel = self.uop[i.uop_bgn:i.uop_end]
        key = i.opcode, kernel.tobytes(), *((name, value) for name, value in i.fields.items() if name not in TOKENS)
        used = self.computed.get(key)
        if used is None:
            used = footprint(i, self.config, decode_micro_ops(kernel, self.config))
            if strays(i, self.config, used):
                return self._error(k, "it promises to stay within one half of acc, and touches both")
            if not self._within(k, used):
                return None
            used = self.computed[key] = _compact(used)
        return used

    def _memory_footprint(self, k: int, i: Instruction) -> Footprint | None:
        if not i.x_size:
            return None
        memory = Memory(i.memory_type)
        if i.opcode == Opcode.STORE and memory != Memory.OUT or i.opcode != Opcode.STORE and memory == Memory.OUT:
            return self._error(k, f"{i.opcode.name} of {memory.name} means nothing: STORE takes OUT, LOAD everything else")
        if i.opcode == Opcode.LOAD_PAD and memory not in PADDABLE:
            return self._error(k, f"LOAD_PAD of {memory.name}: it takes {', '.join(m.name for m in PADDABLE)}")
        if i.opcode == Opcode.STORE and (i.y_pad_0 or i.y_pad_1 or i.x_pad_0 or i.x_pad_1):
            return self._error(k, "the pads of a STORE must be 0")
        buffer = MEMORIES[memory].buffer
        depth = getattr(self.config, f"{buffer}_depth")
        if i.sram_base + sram_size(i) > depth:
            return self._error(k, f"{buffer} elements up to {i.sram_base + sram_size(i) - 1} of {depth}")
        rows = dram_rows(i, self.config)
        if i.y_size and not (self.dram_base <= rows.start and rows.end <= self.dram_base + self.dram.size):
            return self._error(k, f"bytes {rows.start:#x} to {rows.end - 1:#x} are not within DRAM "
                                  f"({self.dram_base:#x} to {self.dram_base + self.dram.size - 1:#x})")
        if memory == Memory.UOP:
            self._load_micro_ops(i, rows)
        used = slice(i.sram_base, i.sram_base + sram_size(i))
        if i.opcode == Opcode.STORE:
            return Footprint({"acc": used}, {}, dram_written=rows) if i.y_size else None
        return Footprint({}, {buffer: used}, dram_read=rows)

    def _load_micro_ops(self, i: Instruction, rows: Rows):
        block = np.zeros((i.y_pad_0 + i.y_size + i.y_pad_1, i.x_pad_0 + i.x_size + i.x_pad_1), np.uint32)
        for y in range(i.y_size):
            start = rows.start - self.dram_base + y * rows.stride
            block[i.y_pad_0 + y, i.x_pad_0:i.x_pad_0 + i.x_size] = self.dram[start:start + rows.size].view(np.uint32)
        self.uop[i.sram_base:i.sram_base + block.size] = block.reshape(-1)
        self.uop_known[i.sram_base:i.sram_base + block.size] = True

    def _within(self, k: int, used: Footprint) -> bool:
        for buffer, elements in [*used.reads.items(), *used.writes.items()]:
            depth = getattr(self.config, f"{buffer}_depth")
            if elements.size and elements.max() >= depth:
                self._error(k, f"{buffer} element {elements.max()} of {depth}")
                return False
        return True

    def _done_at_finish(self, finish: int, order: Order):
        for module in (Module.LOAD, Module.STORE):
            last = max((k for k in range(finish) if self.instructions[k].module == module), default=-1)
            if last > order.clocks[finish, module]:
                self._error(finish, f"FINISH does not wait for instruction {last} ({self.instructions[last].opcode.name} in {module.name.lower()})")


def _compact(used: Footprint) -> Footprint:
    """The same elements, each once: a slice where they follow one another."""
    def once(elements: np.ndarray) -> np.ndarray | slice:
        low, high = int(elements.min()), int(elements.max()) + 1
        touched = np.zeros(high - low, bool)
        touched[elements - low] = True
        return slice(low, high) if touched.all() else low + np.flatnonzero(touched)

    return Footprint({b: once(e) for b, e in used.reads.items()}, {b: once(e) for b, e in used.writes.items()})


class _Races:
    """Goes through one order of execution and keeps, for each element, who read and wrote it last in each module."""

    def __init__(self, checker: _Checker, order: Order, footprints: list[Footprint | None]):
        self.checker, self.order, self.footprints = checker, order, footprints
        depths = {b: getattr(checker.config, f"{b}_depth") for b in ("inp", "wgt", "acc", "uop", "qnt", "lut")}
        depths["dram"] = -(-checker.dram.size // GRANULE)
        self.last = {(buffer, how, module): np.full(depth, -1, np.int32)
                     for buffer, depth in depths.items() for how in ("read", "written") for module in self._users(buffer, how)}

    @staticmethod
    def _users(buffer: str, how: str) -> tuple[Module, ...]:
        """Modules that can read or write a buffer at all."""
        table = {("inp", "read"): (Module.COMPUTE,), ("inp", "written"): (Module.LOAD,),
                 ("wgt", "read"): (Module.COMPUTE,), ("wgt", "written"): (Module.LOAD,),
                 ("acc", "read"): (Module.COMPUTE, Module.STORE), ("acc", "written"): (Module.COMPUTE,),
                 ("dram", "read"): (Module.LOAD, Module.COMPUTE), ("dram", "written"): (Module.STORE,)}
        return table.get((buffer, how), (Module.COMPUTE,))

    def run(self):
        for index in self.order.order:
            used = self.footprints[index]
            if used is not None:
                self._visit(index, used)

    def _visit(self, index: int, used: Footprint):
        accesses = [(b, "read", e) for b, e in used.reads.items()] + [(b, "written", e) for b, e in used.writes.items()]
        if used.dram_read is not None:
            accesses.append(("dram", "read", used.dram_read))
        if used.dram_written is not None:
            accesses.append(("dram", "written", used.dram_written))
        for buffer, how, where in accesses:
            self._compare(index, buffer, how, where)
        module = self.checker.instructions[index].module
        for buffer, how, where in accesses:
            table = self.last[buffer, how, module]
            if isinstance(where, Rows):
                self._granules(table, where)[...] = index
            else:
                table[where] = index

    def _granules(self, table: np.ndarray, rows: Rows) -> np.ndarray:
        start = (rows.start - self.checker.dram_base) // GRANULE
        count = rows.count if rows.size else 0
        return np.lib.stride_tricks.as_strided(table[start:], (count, rows.size // GRANULE), (rows.stride, GRANULE), writeable=True)

    def _compare(self, index: int, buffer: str, how: str, where):
        me = self.checker.instructions[index].module
        for (other_buffer, other_how, module), table in self.last.items():
            if other_buffer != buffer or module == me or (how, other_how) == ("read", "read"):
                continue
            seen = self._granules(table, where) if isinstance(where, Rows) else table[where]
            latest = int(seen.max(initial=-1))
            if latest > self.order.clocks[index, module]:
                what = "DRAM" if buffer == "dram" else f"{buffer} elements"
                self.checker._error(index, f"race: {what} {how} by {me.name.lower()} and {other_how} by instruction {latest} "
                                           f"({module.name.lower()}), and no token orders the two")
