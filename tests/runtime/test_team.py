import os
import re
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from weft.isa import WeftError
from weft.llvm import machine
from weft.llvm.threads import BARRIER_BYTES, TIMES, barrier
from weft.runtime.aligned import zeros
from weft.runtime.team import MOST, Team, cores, team

# Each thread adds its number to a cell of its own, and after a barrier writes the sum of the cells of all into another.
SUMS = """
define void @sums(ptr %cells, ptr %results, ptr %io, i64 %thread, i64 %threads, ptr %barrier) {
  %mine = getelementptr i64, ptr %cells, i64 %thread
  %old = load i64, ptr %mine
  %next = add i64 %thread, 1
  %new = add i64 %old, %next
  store i64 %new, ptr %mine
  call void @tick(ptr %barrier, i64 %thread, i64 0)
  call void @barrier(ptr %barrier, i64 %threads)
  br label %loop
loop:
  %k = phi i64 [ 0, %0 ], [ %k1, %loop ]
  %sum = phi i64 [ 0, %0 ], [ %sum1, %loop ]
  %cell = getelementptr i64, ptr %cells, i64 %k
  %value = load i64, ptr %cell
  %sum1 = add i64 %sum, %value
  %k1 = add i64 %k, 1
  %more = icmp slt i64 %k1, %threads
  br i1 %more, label %loop, label %end
end:
  %result = getelementptr i64, ptr %results, i64 %thread
  store i64 %sum1, ptr %result
  call void @tick(ptr %barrier, i64 %thread, i64 1)
  call void @barrier(ptr %barrier, i64 %threads)
  ret void
}
"""


@pytest.fixture(scope="module")
def sums():
    form = machine.choose()
    return machine.Loaded(machine.object_code(barrier(form.triple) + SUMS, form), form)


def run(team, sums, times, cells, results, block):
    for _ in range(times):
        team.run(sums.address("sums"), cells.ctypes.data, results.ctypes.data, 0, block.ctypes.data)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_barriers_separate_what_threads_write_from_what_they_read(sums, threads):
    made, cells, results, block = Team(threads), np.zeros(threads, np.int64), np.zeros(threads, np.int64), zeros(BARRIER_BYTES)
    for turn in range(1, 201):
        run(made, sums, 1, cells, results, block)
        assert results.tolist() == [turn * threads * (threads + 1) // 2] * threads
    made.close()


def test_workers_that_fell_asleep_wake_up(sums):
    made, cells, results, block = Team(2), np.zeros(2, np.int64), np.zeros(2, np.int64), zeros(BARRIER_BYTES)
    asleep = made._block[64:68].view(np.int32)
    for turn in range(1, 4):
        limit = time.monotonic() + 20
        while not asleep[0] and time.monotonic() < limit:
            time.sleep(0.001)
        assert asleep[0] == 1
        run(made, sums, 1, cells, results, block)
        assert results.tolist() == [3 * turn] * 2
    made.close()


def test_a_closed_team_has_no_threads_left(sums):
    before = threading.active_count()
    made = Team(3)
    assert threading.active_count() == before + 2
    made.close()
    made.close()
    assert threading.active_count() == before


def test_the_first_thread_tells_the_time(sums):
    if machine.choose().architecture != "x86_64":
        pytest.skip("only x86-64 has a counter that every program may read")
    made, cells, results, block = Team(2), np.zeros(2, np.int64), np.zeros(2, np.int64), zeros(BARRIER_BYTES)
    times = np.zeros(2, np.uint64)
    block[TIMES:TIMES + 8].view(np.uint64)[0] = times.ctypes.data
    run(made, sums, 1, cells, results, block)
    made.close()
    assert 0 < times[0] < times[1]


def test_callers_in_several_threads_take_turns(sums):
    made, cells, results, block = Team(2), np.zeros(2, np.int64), np.zeros(2, np.int64), zeros(BARRIER_BYTES)
    callers = [threading.Thread(target=run, args=(made, sums, 50, cells, results, block)) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    made.close()
    assert cells.tolist() == [150, 300]


def test_a_process_ends_while_workers_wait():
    code = "from weft.runtime.team import team, Team; team(3); Team(2)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (found.returncode, found.stderr) == (0, "")


def test_a_forked_process_has_a_team_of_its_own():
    ours = team(2)
    process = os.fork()
    if process == 0:  # nothing but this may happen in the child
        os._exit(0 if team(2) is not ours and team(2).threads == 2 else 1)
    assert os.waitpid(process, 0)[1] == 0


def test_one_team_for_all():
    assert team(2) is team(2) and team().threads == cores() <= os.cpu_count()


@pytest.mark.parametrize("threads", [0, MOST + 1])
def test_teams_that_are_refused(threads):
    with pytest.raises(WeftError, match="^" + re.escape(f"{threads} threads: there may be 1 to {MOST}, but found {threads}; try: {cores()}: as many as cores") + "$"):
        Team(threads)
