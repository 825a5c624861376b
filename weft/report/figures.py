"""The figures of a report: what the page shows, as plain values for JSON."""

from collections.abc import Sequence

from weft.isa import Config, Module
from weft.runtime import module as compiled
from weft.runtime.account import Account, main_wait
from weft.runtime.losses import LIMIT, MEANING as PRODUCTS, SPLIT, losses, split
from weft.runtime.report import RunReport
from weft.runtime.stalls import MEANING, WAITS

LABELS = {"gemm": "GEMM", "padding": "GEMM on padding", "depthwise": "depthwise", "taps": "depthwise below full rate",
          "zero": "writing zeros", "alu": "ALU", "requant": "requantising", "load": "loading", "store": "storing",
          "micro-ops": "micro-ops", "pipeline": "pipeline",
          "waits for load": "waits for load", "waits for compute": "waits for compute", "waits for store": "waits for store",
          "dram": "DRAM", "fetch": "fetch", "done": "done", LIMIT: "physical limit"}
OWN_LOADS = {"load": "compute loads: loading", "dram": "compute loads: DRAM"}  # into ACC, QNT and LUT


def loss_label(key: str) -> str:
    """A key of `losses` for a person."""
    if key in OWN_LOADS:
        return OWN_LOADS[key]
    wait, _, cause = key.partition(": ")
    return LABELS[wait] + (f": {LABELS[cause]}" if cause else "")


def causes() -> list[dict]:
    """What a cycle can have gone to, in the order in which the page stacks them: useful work first."""
    meaning = MEANING | PRODUCTS
    return [{"key": c, "label": LABELS[c], "works": c not in WAITS, "meaning": meaning[c]} for c in SPLIT]


def figures(module: compiled.Module, report: RunReport, label: str) -> dict:
    """One run: the whole, and a row a layer. `stalls` of a layer or of the whole are cycles by module and cause; those of
    the compute module are all cycles of the layer, and those of all layers together are all cycles of the run. `behind`:
    what load and store did while the compute module waited for them, likewise. `losses`: the physical limit and what is beyond it.

    It needs a run on a device with a clock.
    """
    found = report.accounts
    layers = []
    by_operator = {k: (account, position) for account in found for position, k in enumerate(account.launch.operators)}
    named = [operator.name for operator in module.operators if operator.where == "accel"]
    shorts = dict(zip(named, short_names(named)))
    for k, operator in enumerate(module.operators):
        row = {"name": operator.name, "short": shorts.get(operator.name, operator.name), "op": operator.op,
               "where": operator.where, "reason": operator.reason, "macs": operator.macs,
               "shape": list(module.tensors[operator.outputs[0]].shape)}
        layers.append(row | (_layer(*by_operator[k], operator.macs, module.config) if k in by_operator else {}))
    cycles = sum(account.report.cycles or 0 for account in found)
    on_accelerator = [row for row in layers if row["where"] == "accel"]
    macs = sum(row["macs"] for row in on_accelerator)
    return {
        "label": label, "device": report.device, "virtual_threads": module.options.get("virtual_threads"), "cycles": cycles,
        "macs": macs, "macs_on_host": module.macs - macs, "utilisation": macs / (module.config.macs_per_cycle * cycles),
        "instructions": sum(len(account.instructions) for account in found), "launches": len(found),
        "bit_exact": report.bit_exact,
        "read": sum(row["read"] for row in on_accelerator), "written": sum(row["written"] for row in on_accelerator),
        "stalls": {m.name.lower(): _sum([row["stalls"][m.name.lower()] for row in on_accelerator]) for m in Module},
        "behind": {m: _sum([row["behind"][m] for row in on_accelerator]) for m in ("load", "store")},
        "losses": losses(report, module.config),
        "layers": layers,
    }


def short_names(names: Sequence[str]) -> list[str]:
    """Paths without what all of them begin with, and without their last part where they differ without it."""
    paths = [[part for part in name.split(";")[0].split("/") if part] or [name] for name in names]
    while len(paths) > 1 and min(map(len, paths)) > 1 and len({path[0] for path in paths}) == 1:
        paths = [path[1:] for path in paths]
    whole, cut = (["/".join(path) for path in some] for some in (paths, [path[:-1] or path for path in paths]))
    return cut if len(set(cut)) == len(cut) else whole


def _layer(account: Account, position: int, macs: int, config: Config) -> dict:
    stalls = {m.name.lower(): account.stalls(position, m) for m in Module}
    compute = stalls["compute"]
    cycles = sum(compute.values())
    wait = main_wait(compute)
    compute = split(compute, macs, config)
    return {"cycles": cycles, "utilisation": macs / (config.macs_per_cycle * cycles) if cycles else 0.0,
            "read": account.read[position], "written": account.sums("written")[position],
            "main_wait": list(wait) if wait else None, "stalls": {**stalls, "compute": compute},
            "behind": {m.name.lower(): account.behind(position, m) for m in (Module.LOAD, Module.STORE)}}


def _sum(parts: Sequence[dict[str, int]]) -> dict[str, int]:
    whole: dict[str, int] = {}
    for part in parts:
        for cause, count in part.items():
            whole[cause] = whole.get(cause, 0) + count
    return whole
