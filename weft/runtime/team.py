"""Threads that run functions of machine code together: `Team(threads)`, and `team(threads)` for the one that all share.

The workers are asleep in machine code (weft.llvm.threads) between two jobs: first they spin, for the next job often comes at
once, then they sleep until they are woken. Python's lock is free all the while.
"""

import atexit
import ctypes
import os
import sys
import threading
from functools import lru_cache

import numpy as np

from weft.isa import WeftError
from weft.llvm import machine, threads as text

from .aligned import zeros

MOST = text.MOST_THREADS


def cores() -> int:
    """Of this machine, those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache
def _code() -> tuple:
    """The functions work(team, thread) and post(team, end), callable, and what keeps them in memory."""
    form = machine.choose()
    loaded = machine.Loaded(machine.object_code(text.team(form.triple), form), form)
    work = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(loaded.address("work"))
    post = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int32)(loaded.address("post"))
    return work, post, loaded


class Team:
    """`threads` threads, of which the caller of `run` is one. The others live until `close`, or as long as the process.

    Raises
    ------
    WeftError: for fewer threads than one or more than MOST, or several where there is no futex (only Linux has it).
    """

    def __init__(self, threads: int):
        if not 1 <= threads <= MOST:
            raise WeftError(f"{threads} threads", f"there may be 1 to {MOST}", str(threads), f"{cores()}: as many as cores")
        if threads > 1 and not sys.platform.startswith("linux"):
            raise WeftError(f"{threads} threads", "several need Linux, whose futex they sleep on", sys.platform, "threads=1")
        self.threads = threads
        self._lock = threading.Lock()  # one job at a time
        self._block = zeros(text.TEAM_BYTES)
        self._job = self._block[text.JOB:].view(np.uint64)
        self._address = self._block.ctypes.data
        self._work, self._post, _ = _code() if threads > 1 else (None, None, None)
        self._workers = [threading.Thread(target=self._work, args=(self._address, k), daemon=True)
                         for k in range(1, threads)]
        for worker in self._workers:
            worker.start()
        self._process = os.getpid()
        atexit.register(self.close)  # before the code that the workers stand in goes

    def run(self, function: int, arena: int, constants: int, io: int, barrier: int) -> None:
        """Has the threads run a network function (weft.llvm.threads); all arguments are addresses. It returns when all is
        done, and no thread is in the function. `barrier`: a block, which always the same number of threads uses."""
        with self._lock:
            if self.threads == 1:
                _NETWORK(function)(arena, constants, io, 0, 1, barrier)
                return
            self._job[:6] = function, arena, constants, io, barrier, self.threads
            self._post(self._address, 0)

    def close(self) -> None:
        """Ends the workers. The team is not used after this."""
        atexit.unregister(self.close)
        if self._workers and self._process == os.getpid():
            self._post(self._address, 1)
            for worker in self._workers:
                worker.join()
            self._workers = []


_NETWORK = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)
_TEAMS: dict[tuple[int, int], Team] = {}


def team(threads: int | None = None) -> Team:
    """The team of so many threads (default: `cores()`) that everything in this process shares, made at first use. A process
    that was forked has teams of its own, for threads are not inherited."""
    key = os.getpid(), cores() if threads is None else threads
    if key not in _TEAMS:
        _TEAMS[key] = Team(key[1])
    return _TEAMS[key]
