"""Runs of an axis make every output once, from the rows and with the taps that the definition gives it."""

from hypothesis import given
from hypothesis import strategies as st

from weft.compiler.graph_passes.legalise import runs


def unrolled(found: list[runs.Run]) -> dict[int, tuple[int, tuple]]:
    made = [(run.first + run.step * j, (run.start + run.stride * j, run.taps)) for run in found for j in range(run.count)]
    assert len(dict(made)) == len(made)
    return dict(made)


WINDOWS = st.lists(st.tuples(st.integers(-3, 9), st.sampled_from([("a",), ("b",), ("a", "b")])), min_size=1, max_size=12)


@given(WINDOWS, st.integers(1, 4))
def test_runs_make_every_output(windows, period):
    assert unrolled(runs.runs(windows, period)) == dict(enumerate(windows))


def test_what_moves_evenly_is_one_run():
    windows = [(i // 2, ("a",)) for i in range(20)]
    assert [(run.first, run.step, run.count, run.stride) for run in runs.runs(windows, 2)] == [(0, 2, 10, 1), (1, 2, 10, 1)]


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 4), st.integers(0, 4), st.integers(1, 30))
def test_transposed(size, kernel, stride, before, out):
    expected = {o: {i: o + before - i * stride for i in range(size) if 0 <= o + before - i * stride < kernel}
                for o in range(out)}
    found = {}
    for o, (start, taps) in unrolled(runs.transposed(size, out, kernel, stride, before)).items():
        found[o] = {start + u: tap for u, tap in enumerate(taps) if tap is not None and 0 <= start + u < size}
    assert found == expected


@given(WINDOWS, st.integers(1, 3), st.integers(1, 9))
def test_pads_give_exactly_the_runs_windows(windows, period, size):
    for run in runs.runs(windows, period):
        before, after = run.pads(size)
        assert (size + before + after - len(run.taps)) // run.stride + 1 == run.count
