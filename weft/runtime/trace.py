"""The timeline of a run in Chrome's JSON trace format, which Perfetto opens. A microsecond of it is a cycle.

Tracks: the layers, and each module with its instructions and what it waited for between them; of instructions that run beside
one another in the compute module, the one that has a cycle in `stalls.py` is shown. Arrows lead from the
instruction that gave a token to the one that waited for it. Counters: tokens in each queue, bytes moved from and to DRAM.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from weft.isa import MEMORIES, ALU_OPS, Instruction, Memory, Module, Opcode, WeftError
from weft.isa.asm import to_text
from weft.isa.files import write_atomically
from weft.isa.happens_before import POPS, PUSHES
from weft.isa.registers import Queue

from . import module as compiled
from .account import Account, accounts
from .report import RunReport
from .stalls import CAUSES, WAITS

LAYERS = len(Module)  # the track of the layers; a module's is its number
WINDOW = 1000  # cycles of a value of the DRAM counters
BETWEEN = {cause for cause in WAITS if cause.startswith("waits") or cause in ("fetch", "done")}  # no instruction is at work


def title(i: Instruction) -> str:
    """An instruction in a word or two."""
    if i.opcode in (Opcode.LOAD, Opcode.LOAD_PAD):
        return f"load {MEMORIES[Memory(i.memory_type)].buffer}"
    if i.opcode == Opcode.ALU:
        return f"alu {ALU_OPS[i.alu_opcode].name}"
    return "gemm reset" if i.opcode == Opcode.GEMM and i.reset else i.opcode.name.lower()


def slices(account: Account) -> list[tuple[int, int, int, str, int, int]]:
    """(module, start, end, cause, instruction, by) of each stretch of cycles in which a module is at one instruction, whose
    cause is '', or waits for one thing; in order and without overlap for each module."""
    found: list[list] = []
    for module, start, end, code, instruction, by in account.segments.tolist():
        cause = CAUSES[code] if CAUSES[code] in BETWEEN else ""
        if found and not cause and found[-1][0] == module and found[-1][3:5] == ["", instruction]:
            found[-1][2] = end
        else:
            found.append([module, start, end, cause, instruction, by])
    return [tuple(entry) for entry in found]


def chrome_events(module: compiled.Module, report: RunReport) -> list[dict]:
    """Trace events of a run. Launches follow one another; time on the host is left out.

    Of a device without a clock, a microsecond is an instruction, and there are neither waits nor counters. It needs a run
    with `trace=True`.
    """
    events = [_named("process_name", 0, f"{module.name} on {report.device}")]
    for place, (track, name) in enumerate([(LAYERS, "layers"), *((m.value, m.name.lower()) for m in Module)]):
        events += [_named("thread_name", track, name),
                   {**_named("thread_sort_index", track, ""), "args": {"sort_index": place}}]
    for account in report.accounts or accounts(module, report.launches):
        names = [module.operators[k].name for k in account.launch.operators]
        if account.segments is not None:
            events += [*_instructions(account, names), *_layers(account, names), *_tokens(account), *_dram(account)]
        elif account.report.events is not None:
            events += _order(account, names)
    return events


def write(path: str | Path, module: compiled.Module, report: RunReport):
    """The trace file of a run. WeftError for a run without launches."""
    if not report.launches:
        raise WeftError(f"trace of '{module.name}'", "a timeline shows launches of the accelerator", "a network that has none",
                        "`weft report FILE.weft -o page.html`: seconds by layer")
    about = {"network": module.name, "config": module.config.name, "device": report.device,
             "a microsecond is": "an instruction" if report.cycles is None else "a cycle"}
    write_atomically(path, json.dumps({"traceEvents": chrome_events(module, report), "displayTimeUnit": "ns", "otherData": about}))


def _named(kind: str, track: int, name: str) -> dict:
    return {"ph": "M", "name": kind, "pid": 0, "tid": track, "args": {"name": name}}


def _slice(name: str, track: int, start: int, end: int, **args) -> dict:
    return {"ph": "X", "name": name, "pid": 0, "tid": track, "ts": start, "dur": end - start, "args": args}


def _called(account: Account, k: int) -> str:
    return f"#{k} {title(account.instructions[k])}"


def _instructions(account: Account, names: Sequence[str]) -> Iterator[dict]:
    events, layers, began = account.report.events, account.launch.layers, account.began
    waited: dict[int, tuple[str, int, int]] = {}
    shown: dict[int, int] = {}  # instruction -> last cycle of its slice
    flow = began * 4  # launches do not share numbers: an instruction takes a cycle at least in its module
    for module, start, end, cause, k, by in slices(account):
        layer = names[layers[k]]
        if cause == "done":
            continue
        if cause:
            args = {"instruction": _called(account, k), "layer": layer}
            if by >= 0:
                args["token from"] = _called(account, by)
                waited[k] = (cause, end - start, by)
            yield _slice(cause, module, began + start, began + end, **args)
            continue
        job, text = account.works[k], to_text(account.instructions[k])
        args = {"instruction": f"#{k} {text}", "layer": layer,
                "began": began + int(events["start"][k]), "done": began + int(events["end"][k])}
        moved = {"steps or beats": job.cycles, "bytes read": job.read, "bytes written": job.written}
        args |= {name: value for name, value in moved.items() if value}
        if k in waited:
            why, cycles, giver = waited.pop(k)
            args["waited"] = f"{cycles} cycles for {_called(account, giver)}"
            if giver in shown:
                flow += 1
                arrow = {"name": why, "cat": "token", "pid": 0, "id": flow}
                yield {**arrow, "ph": "s", "tid": int(events["module"][giver]), "ts": began + shown[giver]}
                yield {**arrow, "ph": "f", "bp": "e", "tid": module, "ts": began + start}
        shown[k] = end - 1
        yield _slice(title(account.instructions[k]), module, began + start, began + end, **args)


def _layers(account: Account, names: Sequence[str]) -> Iterator[dict]:
    """Stretches in which the compute module is at a layer, or waits for it."""
    for layer, start, end in layer_stretches(account):
        yield _slice(names[layer], LAYERS, account.began + start, account.began + end)


def layer_stretches(account: Account) -> list[tuple[int, int, int]]:
    """(position in launch.operators, start, end) of the compute module's cycles, in order; they are all of them."""
    own = account.segments[account.segments["module"] == Module.COMPUTE]
    layers = account.launch.layers[own["instruction"]]
    first = np.flatnonzero(np.diff(layers, prepend=-1))
    last = np.append(first[1:], len(own)) - 1
    return list(zip(layers[first].tolist(), own["start"][first].tolist(), own["end"][last].tolist()))


def _tokens(account: Account) -> Iterator[dict]:
    """The depth of each queue, where it changes: a token counts from the cycle after its push to that of its pop."""
    events = account.report.events
    changes: dict[Queue, dict[int, int]] = {queue: {} for queue in Queue}
    for k, i in enumerate(account.instructions):
        for flags, at, by in ((PUSHES, int(events["end"][k]) + 1, 1), (POPS, int(events["start"][k]) + 1, -1)):
            for flag, queue in flags[i.module].items():
                if flag in i.fields:
                    changes[queue][at] = changes[queue].get(at, 0) + by
    for queue, by_cycle in changes.items():
        depth = 0
        for at in sorted(by_cycle):
            depth += by_cycle[at]
            yield _count(f"tokens {queue.name.lower().replace('_', ' ')}", account.began + at, tokens=depth)


def _dram(account: Account) -> Iterator[dict]:
    """Bytes in each window, those of an instruction spread evenly from its beginning to its end. Without the instruction stream."""
    edges = np.append(np.arange(1, account.report.cycles + 1, WINDOW), account.report.cycles + 1)
    moved = {name: np.diff(np.interp(edges, *_moved(account, name))) for name in ("read", "written")}
    for at, read, written in zip(edges.tolist(), moved["read"].tolist(), moved["written"].tolist()):
        yield _count(f"DRAM bytes in {WINDOW} cycles", account.began + at, read=round(read), written=round(written))
    yield _count(f"DRAM bytes in {WINDOW} cycles", account.began + account.report.cycles + 1, read=0, written=0)


def _moved(account: Account, field: str) -> tuple[np.ndarray, np.ndarray]:
    """(cycles, bytes moved until then): a line that goes up where instructions move bytes."""
    rate: dict[int, float] = {1: 0.0}
    for job, event in zip(account.works, account.report.events):
        count, start, end = getattr(job, field), int(event["start"]), int(event["end"]) + 1
        if count:
            rate[start] = rate.get(start, 0) + count / (end - start)
            rate[end] = rate.get(end, 0) - count / (end - start)
    at = np.array(sorted(rate))
    rates = np.cumsum([rate[t] for t in at])
    return at, np.concatenate([[0], np.cumsum(rates[:-1] * np.diff(at))])


def _count(name: str, at: int, **values: int) -> dict:
    return {"ph": "C", "name": name, "pid": 0, "tid": 0, "ts": at, "args": values}


def _order(account: Account, names: Sequence[str]) -> Iterator[dict]:
    for k, (i, layer, event) in enumerate(zip(account.instructions, account.launch.layers, account.report.events)):
        yield _slice(title(i), int(event["module"]), int(event["start"]), int(event["end"]),
                     instruction=f"#{k} {to_text(i)}", layer=names[layer])
