"""The forms of machine code that tests try, and one engine of each, since making one takes longer than most of what it runs."""

from functools import cache

from weft.isa import DEFAULT, Config
from weft.sim.engine import Engine, forms


def tried_forms(config: Config) -> list[str]:
    """All that this CPU can run for the default config, the fastest and the slowest for others."""
    found = list(forms(config))
    return found if config == DEFAULT else list(dict.fromkeys((found[0], found[-1])))


@cache
def engine_of(config: Config, form: str) -> Engine:
    """The one of this form; its scratchpads are as the test before left them."""
    return Engine(config, form)
