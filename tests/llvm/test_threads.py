"""Phases of network functions, as threads run them that come together, late, or not at all."""

import ctypes
import threading

import numpy as np
import pytest

from weft.llvm import machine
from weft.llvm.threads import BARRIER_BYTES, BASE, CLAIMS, DONE, LOOSE, barrier
from weft.runtime.aligned import zeros

PHASES = 40
# Phase p: slice k adds p times the sum of all cells of the phase before to cell k of this one; io counts how often each slice ran.
_CODE = """
define internal void @work{p}(ptr %cells, ptr %constants, ptr %io, i64 %slice, i64 %slices) {{
  br label %loop
loop:
  %k = phi i64 [ 0, %0 ], [ %k1, %loop ]
  %sum = phi i64 [ 0, %0 ], [ %sum1, %loop ]
  %i = add i64 %k, {before}
  %cell = getelementptr i64, ptr %cells, i64 %i
  %value = load i64, ptr %cell
  %sum1 = add i64 %sum, %value
  %k1 = add i64 %k, 1
  %more = icmp ult i64 %k1, %slices
  br i1 %more, label %loop, label %end
end:
  %j = add i64 %slice, {now}
  %mine = getelementptr i64, ptr %cells, i64 %j
  %old = load i64, ptr %mine
  %low = and i64 %sum1, 1048575
  %part = mul i64 %low, {p}
  %new = add i64 %old, %part
  store i64 %new, ptr %mine
  %count = getelementptr i64, ptr %io, i64 %j
  %c0 = atomicrmw add ptr %count, i64 1 seq_cst
  ret void
}}
"""
MOST = 4


def function(name: str) -> str:
    works = "".join(_CODE.format(p=p, before=MOST * (p - 1), now=MOST * p) for p in range(1, PHASES + 1))
    calls = "\n".join(f"  call void @phase(ptr %block, ptr @work{p}, ptr %cells, ptr null, ptr %io, i64 %thread, i64 %threads, i32 {p})"
                      for p in range(1, PHASES + 1))
    return works + f"""
define void @{name}(ptr %cells, ptr %constants, ptr %io, i64 %thread, i64 %threads, ptr %block) {{
{calls}
  call void @finish(ptr %block, i64 %threads)
  ret void
}}
"""


def expected(cells: np.ndarray, threads: int) -> np.ndarray:
    for p in range(1, PHASES + 1):
        cells[p, :threads] += (cells[p - 1, :threads].sum() & 1048575) * p
    return cells


@pytest.fixture(scope="module", params=[form.name for form in machine.host_forms()])
def network(request):
    form = machine.choose(request.param)
    loaded = machine.Loaded(machine.object_code(barrier(form.triple) + function("network"), form), form)
    found = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)(loaded.address("network"))
    found.kept = loaded
    return found


class State:
    def __init__(self, loose: bool):
        self.cells, self.counts, self.block = np.zeros((PHASES + 1, MOST), np.int64), np.zeros((PHASES + 1, MOST), np.int64), zeros(BARRIER_BYTES)
        self.cells[0], self.block[LOOSE] = 1, loose

    def run(self, network, thread: int, threads: int):
        network(self.cells.ctypes.data, None, self.counts.ctypes.data, thread, threads, self.block.ctypes.data)

    def word(self, at: int) -> int:
        return int(self.block[at:at + 4].view(np.uint32)[0])


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_threads_of_a_strict_block_meet_at_the_end(network, threads):
    state, truth = State(False), State(False).cells
    for turn in range(1, 6):
        workers = [threading.Thread(target=state.run, args=(network, k, threads)) for k in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert np.array_equal(state.cells, expected(truth, threads)) and (state.counts[1:, :threads] == turn).all()
        assert state.word(BASE) == (turn * PHASES if threads > 1 else 0)


def test_one_thread_does_all_slices_where_the_others_never_come(network):
    state, truth = State(True), State(True).cells
    state.run(network, 0, 3)
    assert np.array_equal(state.cells, expected(truth, 3)) and (state.counts[1:, :3] == 1).all()


def test_a_thread_that_comes_late_finds_nothing_left(network):
    state, truth = State(True), State(True).cells
    state.run(network, 0, 2)
    state.run(network, 1, 2)
    assert np.array_equal(state.cells, expected(truth, 2)) and (state.counts[1:, :2] == 1).all()


def test_counts_wrap(network):
    state, truth = State(True), State(True).cells
    start = 2**32 - PHASES // 2
    for at, value in [(BASE, start), (DONE, start * 2 % 2**32), (CLAIMS, start), (CLAIMS + 64, start)]:
        state.block[at:at + 4].view(np.uint32)[0] = value
    state.run(network, 0, 2)
    assert np.array_equal(state.cells, expected(truth, 2)) and (state.counts[1:, :2] == 1).all()
    assert state.word(CLAIMS) == PHASES // 2 and state.word(DONE) == PHASES
