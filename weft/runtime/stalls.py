"""Where every cycle of a launch went: what each module did in it, or what it waited for.

Drawn from the instruction stream and the events of the trace alone, so it is the same for every device with a clock.
A module's cycles from launch to done are cut into segments without gap or overlap, each with a cause and the instruction
that it is counted for. Cycle t of the trace is [t, t + 1) here.

The rules, cycle by cycle. In the compute module, where instructions run beside one another, the one that began last comes first:
 1. an instruction under way has products left (a step a cycle, the oldest's first): its kind, whatever runs beside it;
 2. it has work left (a step a cycle): its kind; else an earlier one, not done yet, has work left: that one's kind;
 3. it is a LOAD that is not done: 'micro-ops', or 'dram' once its beats are accounted for;
 4. the next instruction's last token, or room for its own, has not come: the module that must give it;
 5. an earlier LOAD is not done: as 3; else an instruction is not done: 'pipeline' (filling, draining, interlocks);
 6. nothing is left: 'done'; else the next instruction was not there yet: 'fetch'.
Load and store end their instructions in order, and the oldest that is under way comes first:
 1. it has work left (a beat a cycle): its kind; 2. it is not done: 'dram'; 3. nothing is under way: as 4 and 6 above.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weft.isa import Instruction, Module, Opcode
from weft.isa.happens_before import POPS, PUSHES
from weft.isa.registers import TOKEN_QUEUE_DEPTH, Queue

from .work import Work

WORK = ("gemm", "depthwise", "zero", "alu", "requant", "load", "store")
WAITS = ("micro-ops", "pipeline", "waits for load", "waits for compute", "waits for store", "dram", "fetch", "done")
CAUSES = WORK + WAITS
PRODUCTS = ("gemm", "depthwise")
CODES = {cause: code for code, cause in enumerate(CAUSES)}
WAITS_FOR = {module: f"waits for {module.name.lower()}" for module in Module}
LOADS = (Opcode.LOAD, Opcode.LOAD_PAD)
SEGMENT = np.dtype([("module", "u1"), ("start", "<i8"), ("end", "<i8"), ("cause", "u1"), ("instruction", "<i4"),
                    ("by", "<i4")])
MEANING = {
    "gemm": "steps of GEMM: products, with the padding of channels",
    "depthwise": "steps of DEPTHWISE",
    "zero": "steps of GEMM that write zeros",
    "alu": "steps of ALU",
    "requant": "steps of ALU that requantise or look up a table",
    "load": "beats and padding written to a scratchpad",
    "store": "beats written to DRAM",
    "micro-ops": "loading micro-ops",
    "pipeline": "filling, draining, interlocks of steps on one element",
    "waits for load": "a token of the load module: its data are not there",
    "waits for compute": "a token of the compute module: the buffer is in use, or the result not there",
    "waits for store": "a token of the store module: the result before is not written",
    "dram": "a transfer is under way and no beat of it moved: latency, other modules' bursts",
    "fetch": "the instruction was not there yet: latency, or it stands behind a full queue",
    "done": "nothing left to do until FINISH",
}


@dataclass
class Ready:
    """When the tokens of an instruction were complete. at: first cycle in which none was missing; module: who gave the last
    one, and by: in which instruction (-1: none was needed, or it was left over)."""

    at: int = 0
    module: Module | None = None
    by: int = -1


def segments(instructions: Sequence[Instruction], works: Sequence[Work], events: np.ndarray, cycles: int,
             tokens: dict[Queue, int] | None = None) -> np.ndarray:
    """Segments of the three modules, one module after the other, each from cycle 1 to `cycles`.

    Parameters
    ----------
    works: the work of each instruction. events: array of EVENT, one an instruction. cycles: from launch to done.
    tokens: left over by the launch before.

    Returns
    -------
    array of SEGMENT; `instruction`: which one it is counted for, `by`: which one gave the token that was waited for
        (-1: none).
    """
    ready = token_times(instructions, events, tokens)
    rows: list[tuple] = []
    for module in Module:
        own = np.flatnonzero(events["module"] == module).tolist()
        cut = _Cutter(module, instructions, works, events, ready, cycles)
        (cut.issued if module == Module.COMPUTE else cut.transferred)(own)
        rows += cut.rows
    return np.array(rows, SEGMENT)


def token_times(instructions: Sequence[Instruction], events: np.ndarray,
                tokens: dict[Queue, int] | None = None) -> list[Ready]:
    """For each instruction, when its last token had come: the k-th pop of a queue meets the k-th push.

    A push whose queue is full waits for room, that is for a pop, likewise.
    """
    pushes: dict[Queue, list[int]] = defaultdict(list)
    pops: dict[Queue, list[int]] = defaultdict(list)
    modules = events["module"].tolist()
    for k, (i, module) in enumerate(zip(instructions, modules)):
        for table, flags in ((pushes, PUSHES), (pops, POPS)):
            for flag, queue in flags[module].items():
                if flag in i.fields:
                    table[queue].append(k)
    ready = [Ready() for _ in instructions]
    start, end = events["start"].tolist(), events["end"].tolist()
    for queue in Queue:
        left_over = tokens[queue] if tokens else 0
        for k, giver in zip(pops[queue][left_over:], pushes[queue]):
            _later(ready[k], end[giver] + 1, modules[giver], giver)
        for k, taker in zip(pushes[queue][TOKEN_QUEUE_DEPTH - left_over:], pops[queue]):
            _later(ready[k], start[taker] + 1, modules[taker], taker)
    return ready


def _later(ready: Ready, at: int, module: int, by: int):
    if at > ready.at:
        ready.at, ready.module, ready.by = at, Module(module), by


class _Cutter:
    """Cuts one module's cycles into segments; `at` is the first cycle that is not accounted for."""

    def __init__(self, module: Module, instructions: Sequence[Instruction], works: Sequence[Work], events: np.ndarray,
                 ready: list[Ready], cycles: int):
        self.module, self.instructions, self.works, self.ready = module, instructions, works, ready
        self.start, self.end, self.stop = events["start"].tolist(), (events["end"] + 1).tolist(), cycles + 1
        self.rows: list[tuple] = []
        self.at = 1

    def until(self, end: int, cause: str, instruction: int, by: int = -1):
        """What is not accounted for before `end` has this cause."""
        end = min(end, self.stop)
        if end > self.at:
            self.rows.append((self.module, self.at, end, CODES[cause], instruction, by))
            self.at = end

    def tokens(self, k: int, end: int):
        """Up to `end`, instruction k waits for its tokens."""
        ready = self.ready[k]
        if ready.module is not None:
            self.until(min(end, ready.at), WAITS_FOR[ready.module], k, ready.by)

    def issued(self, own: Sequence[int]):
        """The compute module: products have the word, then the instruction that began last."""
        behind: list[list[int]] = []  # [instruction, cycles of its work not accounted for], not done yet
        for k, following in zip([None, *own], [*own, None]):
            end = self.stop if following is None else self.start[following]
            if k is not None:
                behind = [entry for entry in behind if self.end[entry[0]] > self.at] + [[k, self.works[k].cycles]]
                self._steps(behind, end)
                self._load(k, end)
            if following is not None:
                self.tokens(following, end)
            for older, _ in reversed(behind):
                self._load(older, end)
            if behind:
                self.until(min(end, max(self.end[older] for older, _ in behind)), "pipeline", behind[-1][0])
            self._rest(k, following, end)

    def _steps(self, behind: list[list[int]], end: int):
        """Work that is left: products, the oldest instruction's first, then other work, the youngest's first."""
        products = [entry for entry in behind if self.works[entry[0]].kind in PRODUCTS]
        for entry in (*products, *(entry for entry in reversed(behind) if entry not in products)):
            k, left = entry
            before = self.at
            self.until(min(end, self.at + left, self.end[k]), self.works[k].kind or "pipeline", k)
            entry[1] -= self.at - before

    def _load(self, k: int, end: int):
        if self.instructions[k].opcode in LOADS:
            self.until(min(end, self.end[k]), "micro-ops" if self.works[k].kind == "micro-ops" else "dram", k)

    def transferred(self, own: Sequence[int]):
        """Load and store: the oldest instruction under way has the word."""
        for k in own:
            self.tokens(k, self.start[k])
            self.until(self.start[k], "fetch", k)
            job = self.works[k]
            self.until(min(self.end[k], self.at + job.cycles), job.kind or "pipeline", k)
            self.until(self.end[k], "dram" if job.kind else "pipeline", k)
        self._rest(own[-1] if own else None, None, self.stop)

    def _rest(self, k: int | None, following: int | None, end: int):
        if following is None:
            self.until(end, "done", -1 if k is None else k)
        else:
            self.until(end, "fetch", following)
