"""Derived tokens against machines that run in any order that the tokens allow."""

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.harness import Network, execute, plan, random_inputs, reference
from weft.compiler import tokens
from weft.compiler.tokens import FLAGS, DramBlock, Operation, derive
from weft.isa import DEFAULT, PRESETS, Instruction, Memory, Module, Opcode
from weft.isa.check import check

PRIORITIES = ("lcs", "lsc", "cls", "csl", "slc", "scl")  # who goes first whenever it can: load, compute, store


def any_order(instructions: list[Instruction], choose) -> list[int]:
    """Runs three modules by their tokens alone: `choose` picks among those that can go on. Returns the order."""
    waiting = {m: [k for k, i in enumerate(instructions) if i.module == m] for m in Module}
    tokens_in: Counter = Counter()
    order = []
    while any(waiting.values()):
        ready = [m for m, queue in waiting.items() if queue and all(
            tokens_in[key] > 0 for key, (_, pop) in FLAGS.items() if key[1] == m and getattr(instructions[queue[0]], pop))]
        assert ready, f"deadlock after {len(order)} of {len(instructions)}"
        module = choose(ready)
        index = waiting[module].pop(0)
        for key, (push, pop) in FLAGS.items():
            tokens_in[key] -= getattr(instructions[index], pop) if key[1] == module else 0
            tokens_in[key] += getattr(instructions[index], push) if key[0] == module else 0
        order.append(index)
    assert not +tokens_in, f"tokens left over: {tokens_in}"
    return order


def orders(instructions: list[Instruction], seeds: int):
    for priority in PRIORITIES:
        yield any_order(instructions, lambda ready, p=priority: min(ready, key=lambda m: p.index(m.name[0].lower())))
    for seed in range(seeds):
        yield any_order(instructions, random.Random(seed).choice)


def small_network() -> Network:
    network = Network(3)
    x = network.input(1, 16, 6, 6)
    y = network.conv2d(x, 16, 3, pad=1)
    return_ = network.conv2d(y, 32, 1)
    network.max_pool(return_, 2, 2)
    return network


def deep_network() -> Network:
    """Every operator, and a residual sum that reads far back."""
    network = Network(4)
    x = network.input(1, 20, 9, 9)
    y = network.conv2d(x, 20, 3, pad=1, pad_value=3)
    z = network.conv2d(y, 20, 3, pad=1)
    z = network.add(z, y)
    z = network.max_pool(z, 3, 2, 1)
    z = network.avg_pool(z, 2, 1)
    network.requantise(z)
    return network


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_every_order_gives_the_same(config):
    network = deep_network()
    image, inputs = plan(network, config), random_inputs(network)
    expected = reference(network, inputs)
    instructions = image.stream.instructions
    distinct = set()
    for order in orders(instructions, 6):
        distinct.add(tuple(order))
        outputs = execute(image, network, inputs, config, [instructions[k] for k in order])
        assert all(np.array_equal(outputs[name], expected[name]) for name in outputs)
    assert len(distinct) > 6, "the tokens leave freedom, and these orders use it"


def test_every_token_is_needed():
    """Without any one push and its pop, the checker sees a race, or a FINISH that does not wait."""
    network = small_network()
    image = plan(network, DEFAULT)
    whole = image.stream.instructions
    assert check(whole, DEFAULT, image.dram) == []
    dropped = Counter()
    for key, (push, pop) in FLAGS.items():
        senders = [k for k, i in enumerate(whole) if i.module == key[0] and getattr(i, push)]
        receivers = [k for k, i in enumerate(whole) if i.module == key[1] and getattr(i, pop)]
        assert len(senders) == len(receivers) and all(s < r for s, r in zip(senders, receivers))
        for sender, receiver in zip(senders, receivers):
            fewer = list(whole)
            for k, flag in ((sender, push), (receiver, pop)):
                fewer[k] = replace(fewer[k], fields={f: v for f, v in fewer[k].fields.items() if f != flag})
            assert any(f.level == "error" for f in check(fewer, DEFAULT, image.dram)), (key, sender, receiver)
            dropped[key] += 1
    assert set(dropped) == set(FLAGS), "the program uses all four queues"


def test_dropped_tokens_change_the_result():
    """The orders of this file do find a missing wait: without those on loads, some order gives something else."""
    network = small_network()
    image, inputs = plan(network, DEFAULT), random_inputs(network)
    expected = reference(network, inputs)
    for key in FLAGS:
        if key == (Module.STORE, Module.COMPUTE):
            continue  # a race that needs DRAM to be slow: the checker's test above
        push, pop = FLAGS[key]
        bare = [replace(i, fields={f: v for f, v in i.fields.items() if not (f == push and i.module == key[0])
                                   and not (f == pop and i.module == key[1])}) for i in image.stream.instructions]
        wrong = 0
        for order in orders(bare, 0):
            if bare[order[-1]].opcode != Opcode.FINISH:
                order = [k for k in order if bare[k].opcode != Opcode.FINISH] + [len(bare) - 1]
            outputs = execute(image, network, inputs, DEFAULT, [replace(bare[k], fields=_tokenless(bare[k])) for k in order])
            wrong += any(not np.array_equal(outputs[name], expected[name]) for name in outputs)
        assert wrong, key


def _tokenless(i: Instruction) -> dict[str, int]:
    return {f: v for f, v in i.fields.items() if not f.startswith(("pop_", "push_"))}


# Operations by hand

def load(name: str, begin: int, end: int, dram: DramBlock | None = None) -> Operation:
    return Operation(Opcode.LOAD, {}, Module.LOAD, 0, (), ((name, begin, end),), dram)


def compute(reads=(), writes=()) -> Operation:
    return Operation(Opcode.GEMM, {}, Module.COMPUTE, 0, tuple(reads), tuple(writes))


def store(begin: int, end: int, dram: DramBlock | None = None) -> Operation:
    return Operation(Opcode.STORE, {}, Module.STORE, 0, (("acc", begin, end),), (), dram)


def text(operations: list[Operation]) -> list[str]:
    flags = [sorted(f for f in o.fields if f.startswith(("pop", "push"))) for o in operations]
    return [" ".join([o.module.name, o.opcode.name, *f]) for o, f in zip(operations, flags)]


def test_a_load_is_waited_for_once():
    stream = derive([load("inp", 0, 4), compute([("inp", 0, 2)]), compute([("inp", 2, 4)])], DEFAULT)
    assert text(stream) == ["LOAD LOAD push_next", "COMPUTE GEMM pop_prev", "COMPUTE GEMM", "COMPUTE FINISH"]


def test_what_does_not_meet_does_not_wait():
    stream = derive([load("inp", 0, 4), compute([("inp", 4, 8)], [("acc", 0, 4)]), store(4, 8)], DEFAULT)
    assert text(stream) == ["LOAD LOAD push_next", "COMPUTE GEMM", "STORE STORE push_prev",
                            "COMPUTE FINISH pop_next pop_prev"]


def test_a_store_before_a_load_goes_through_compute():
    block = DramBlock(4096, 1, 64, 64)
    stream = derive([store(0, 4, block), load("inp", 0, 4, block)], DEFAULT)
    assert text(stream) == ["STORE STORE push_prev", "COMPUTE LOAD pop_next push_prev", "LOAD LOAD pop_next push_next",
                            "COMPUTE FINISH pop_prev"]
    assert stream[1].fields.get("x_size", 0) == 0, "it does nothing else"


def test_knowledge_is_carried_on():
    """The store waits for the GEMM, which waited for the load: what the load read may be overwritten without more."""
    block = DramBlock(4096, 1, 64, 64)
    stream = derive([load("inp", 0, 4, block), compute([("inp", 0, 4)], [("acc", 0, 4)]), store(0, 4, block)], DEFAULT)
    assert text(stream) == ["LOAD LOAD push_next", "COMPUTE GEMM pop_prev push_next", "STORE STORE pop_prev push_prev",
                            "COMPUTE FINISH pop_next"]


def test_rows_between_rows_do_not_wait():
    """Two blocks with a common stride that lie side by side share no byte."""
    left, right = DramBlock(4096, 4, 32, 64), DramBlock(4096 + 32, 4, 32, 64)
    apart = derive([store(0, 4, left), load("inp", 0, 4, right)], DEFAULT)
    meeting = derive([store(0, 4, left), load("inp", 0, 4, left)], DEFAULT)
    assert (len(apart), len(meeting)) == (3, 4)


RANGES = st.tuples(st.integers(0, 12), st.integers(1, 4)).map(lambda r: (r[0], r[0] + r[1]))
BLOCKS = st.builds(lambda s, rows, size, gap: DramBlock(s * 16, rows, size * 16, (size + gap) * 16),
                   st.integers(0, 20), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2))


def _compute_operation(parts) -> Operation:
    return compute([(n, *r) for n, r in parts["reads"]], [("acc", *parts["writes"])])


OPERATIONS = st.lists(st.one_of(
    st.builds(lambda n, r, b: load(n, *r, b), st.sampled_from(("inp", "wgt")), RANGES, BLOCKS),
    st.fixed_dictionaries({"reads": st.lists(st.tuples(st.sampled_from(("inp", "wgt", "acc")), RANGES), max_size=2),
                           "writes": RANGES}).map(_compute_operation),
    st.builds(lambda r, b: store(*r, b), RANGES, BLOCKS)), max_size=30)


def touched(o: Operation) -> tuple[set, set]:
    """(reads, writes) as single elements and bytes: the naive account."""
    reads = {(name, e) for name, b, end in o.reads for e in range(b, end)}
    writes = {(name, e) for name, b, end in o.writes for e in range(b, end)}
    if o.dram:
        block = {("dram", o.dram.start + row * o.dram.stride + k) for row in range(o.dram.rows) for k in range(o.dram.size)}
        if o.module == Module.STORE:
            writes |= block
        else:
            reads |= block
    return reads, writes


def conflict(a: Operation, b: Operation) -> bool:
    (a_reads, a_writes), (b_reads, b_writes) = touched(a), touched(b)
    return a.module != b.module and bool(a_writes & (b_reads | b_writes) or a_reads & b_writes)


@given(OPERATIONS, st.integers(0, 1000))
def test_conflicting_operations_keep_their_order(operations, seed):
    stream = derive(operations, DEFAULT)
    instructions = [Instruction(o.opcode, {**o.fields, "memory_type": Memory.INP} if o.module == Module.LOAD else o.fields)
                    for o in stream]
    place = {o: k for k, o in enumerate(stream)}
    conflicts = [(place[a], place[b]) for k, b in enumerate(operations) for a in operations[:k] if conflict(a, b)]
    for order in [*orders(instructions, 0), any_order(instructions, random.Random(seed).choice)]:
        when = {index: k for k, index in enumerate(order)}
        assert all(when[a] < when[b] for a, b in conflicts)
        assert order[-1] == len(stream) - 1, "FINISH comes last"


@given(OPERATIONS)
def test_a_queue_never_holds_more_than_it_can(operations):
    original, tokens.TOKEN_QUEUE_DEPTH = tokens.TOKEN_QUEUE_DEPTH, 2
    try:
        stream = derive(operations, DEFAULT)
    finally:
        tokens.TOKEN_QUEUE_DEPTH = original
    for key, (push, pop) in FLAGS.items():
        held = most = 0
        for o in stream:
            held -= o.fields.get(pop, 0) if o.module == key[1] else 0
            held += o.fields.get(push, 0) if o.module == key[0] else 0
            most = max(most, held)
        assert held == 0 and most <= 2


def test_nothing_is_only_a_finish():
    assert text(derive([], DEFAULT)) == ["COMPUTE FINISH"]
