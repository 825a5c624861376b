"""What stands between a run's cycles and the physical limit, cause by cause: `losses(report, config)`.

The limit is the network's products at full rate. All else that the compute module did or waited for is a loss: products
that the network does not ask for, DEPTHWISE, which has fewer products a step than GEMM, steps that no product runs beside, waits.
A wait for load or store is divided by what that module did meanwhile. Limit and losses add up to all cycles.
"""

from collections import Counter
from collections.abc import Mapping

from weft.isa import Config, Module

from .account import Account
from .report import RunReport
from .stalls import CAUSES, WAITS_FOR

LIMIT = "limit"
PARTS = {"gemm": "padding", "depthwise": "taps"}  # the steps of products, and the name of what is not asked for among them
GIVERS = (Module.LOAD, Module.STORE)
SPLIT = ("gemm", "padding", "depthwise", "taps", *(cause for cause in CAUSES if cause not in PARTS))  # useful work first
MEANING = {
    "gemm": "products that the network asks for",
    "padding": "steps of GEMM whose products the network does not count: channels and pixels that fill up a block",
    "depthwise": "products of depthwise convolutions that the network asks for, at the rate of GEMM",
    "taps": "steps of DEPTHWISE beyond those: it multiplies a row of a kernel where GEMM multiplies a block of channels",
}


def split(stalls: Mapping[str, int], macs: int, config: Config) -> dict[str, int]:
    """A layer's cycles of the compute module by the causes of SPLIT: those of products divided in what the network asks for, and
    the others. Causes that took none are left out; the sum stays."""
    left, found = round(macs / config.macs_per_cycle), dict(stalls)
    for kind, rest in PARTS.items():
        steps = found.pop(kind, 0)
        found[kind] = min(steps, left)
        found[rest] = steps - found[kind]
        left -= found[kind]
    return {cause: found[cause] for cause in SPLIT if found.get(cause)}


def divided(giver: Module, cause: str) -> str:
    """The loss that is a wait for `giver` while it did `cause`."""
    return f"{WAITS_FOR[giver]}: {cause}"


def losses(report: RunReport, config: Config) -> dict[str, int]:
    """The cycles of a run on a device with a clock: LIMIT, to the nearest cycle of each layer, then what is beyond it, most first."""
    found: Counter[str] = Counter()
    places = [(account, position) for account in report.accounts for position in range(len(account.launch.operators))]
    for (account, position), layer in zip(places, report.accelerated, strict=True):
        found.update(_of_layer(account, position, layer.macs, config))
    limit = sum(found.pop(kind, 0) for kind in PARTS)
    return {LIMIT: limit, **dict(found.most_common())}


def _of_layer(account: Account, position: int, macs: int, config: Config) -> dict[str, int]:
    parts = split(account.stalls(position), macs, config)
    for giver in GIVERS:
        parts.pop(WAITS_FOR[giver], None)
        parts |= {divided(giver, cause): cycles for cause, cycles in account.behind(position, giver).items()}
    return parts
