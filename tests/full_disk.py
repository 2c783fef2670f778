"""A disk that takes no more, for which a limit on the size of files stands here."""

import multiprocessing
import signal
import traceback

import pytest

resource = pytest.importorskip("resource", reason="Windows has no limit on the size of files")


def on_a_full_disk(limit, act, *args):
    """What an act that may write files of so many bytes ends with, as text."""
    told = multiprocessing.get_context("fork").SimpleQueue()

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            act(*args)
            told.put("fine")
        except BaseException:
            told.put(traceback.format_exc().strip().splitlines()[-1])

    process = multiprocessing.get_context("fork").Process(target=limited)
    process.start()
    process.join(60)
    return told.get()
