"""The checks of a module find every fault of a mutation test that changes an output or hangs, and flag no sound module."""

import copy
from collections import Counter

import numpy as np
import pytest

from tests.conftest import EXAMPLES
from tests.random_networks import random_network
from weft.compiler.pipeline import build
from weft.isa import DEFAULT, PRESETS, Instruction, WeftError, decode, encode
from weft.isa.happens_before import POPS, PUSHES, TokenMachine
from weft.isa.table import layouts
from weft.runtime.executor import Executor, reference
from weft.runtime.validate import random_inputs, validate
from weft.sim.reference import ReferenceDevice

MUTANTS = EXAMPLES or 60
ADDRESSES = ("sram_base", "dram_base", "uop_bgn", "dst_factor_in", "src_factor_in", "wgt_factor_in", "dst_factor_out", "src_factor_out")


def drop_token(rng, stream):
    with_token = [(k, f) for k, i in enumerate(stream) for f in ("pop_prev", "pop_next", "push_prev", "push_next") if i.fields.get(f)]
    k, flag = with_token[rng.integers(len(with_token))]
    del stream[k].fields[flag]


def add_token(rng, stream):
    k = int(rng.integers(len(stream)))
    flags = [f for f in (*POPS[stream[k].module], *PUSHES[stream[k].module]) if not stream[k].fields.get(f)]
    if flags:
        stream[k].fields[flags[rng.integers(len(flags))]] = 1


def move_address(rng, stream):
    k = int(rng.integers(len(stream)))
    fields = [f for f in ADDRESSES if f in layouts(DEFAULT)[stream[k].opcode].fields]
    if fields:
        field = fields[rng.integers(len(fields))]
        stream[k].fields[field] = max(0, stream[k].fields.get(field, 0) + int(rng.choice([-16, -1, 1, 2, 16])))


def swap_order(rng, stream):
    k = int(rng.integers(len(stream) - 1))
    other = min(len(stream) - 1, k + int(rng.integers(1, 4)))
    stream[k], stream[other] = stream[other], stream[k]


MUTATIONS = (drop_token, add_token, move_address, swap_order)


def mutant(module, mutation, seed):
    """The module with one fault in its stream, or None where that cannot be encoded."""
    changed = copy.copy(module)
    changed.image = module.image.copy()
    launch = module.launches[0]
    view = changed.image[launch.insn_address:launch.insn_address + launch.insn_count * 16]
    stream = [Instruction(i.opcode, dict(i.fields)) for i in decode(view, module.config)]
    mutation(np.random.default_rng(seed), stream)
    try:
        view[:] = encode(stream, module.config).reshape(-1)
    except WeftError:
        return None
    return changed


class AnyOrder(TokenMachine):
    """Runs whatever the tokens allow, in an order that a seed draws."""

    rng = np.random.default_rng(0)

    def next(self):
        ready = [q[0] for m, q in self.waiting.items() if q and not self.blocked(m)]
        return int(self.rng.choice(ready)) if ready else None


def is_wrong(module, monkeypatch):
    """Whether some order gives another output, hangs, or leaves work undone that the next run would see."""
    inputs = random_inputs(module, 99)
    expected = reference(module, inputs)
    for machine, seed in [(TokenMachine, 0), *((AnyOrder, s) for s in range(4))]:
        monkeypatch.setattr("weft.sim.reference.TokenMachine", machine)
        AnyOrder.rng = np.random.default_rng(seed)
        executor = Executor(module, ReferenceDevice(module.config, module.memory_size))
        try:
            outputs, _ = executor.run(inputs, check=False)
        except WeftError:
            return True
        finally:
            monkeypatch.undo()
        if any(not np.array_equal(outputs[k], expected[k]) for k in expected):
            return True
    return False


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.__name__)
def test_every_fault_that_shows_is_found(mutation, monkeypatch):
    seen = Counter()
    modules = [build(random_network(seed), DEFAULT) for seed in range(4)]
    for seed in range(MUTANTS):
        module = mutant(modules[seed % len(modules)], mutation, seed)
        if module is None:
            continue
        found = any(f.level == "error" for f in validate(module))
        wrong = is_wrong(module, monkeypatch)
        seen[wrong, found] += 1
        assert found or not wrong, f"mutant {seed} is wrong, and nothing was found"
    assert seen[True, True] > MUTANTS // 20, seen  # the mutations do make faults


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_sound_modules_are_not_flagged(config):
    for seed in range(100, 106):
        try:
            module = build(random_network(seed, config.batch), config)
        except WeftError:
            continue
        assert validate(module) == []
