"""Runs that are killed at random moments and begun again, as a user's machine may do it."""

import multiprocessing
import os
import random
import signal

import pytest

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, which Windows lacks")


def run_killed(times, run, slow, span, seed):
    """Begin a run again and again in a process of its own, and kill all but the last one.

    Args:
        times: how often it is killed; it must be slow enough that it never ends before.
        run: (pause) -> anything; waits that many seconds on its way, time and again.
        slow: the pause of the runs that are killed; the last has none.
        span: the shortest and longest time that one of them gets, in seconds.
    """
    forked, dice = multiprocessing.get_context("fork"), random.Random(seed)
    for _ in range(times):
        killed = forked.Process(target=run, args=(slow,))
        killed.start()
        killed.join(dice.uniform(*span))
        assert killed.exitcode is None, "it was not slow enough to be killed"
        os.kill(killed.pid, signal.SIGKILL)
        killed.join()
    last = forked.Process(target=run, args=(0.0,))
    last.start()
    last.join()
    assert last.exitcode == 0
