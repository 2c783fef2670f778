"""One run.py at a time changes the environment; a killed one lets go of the lock."""

import contextlib
import os
import time

if os.name == "nt":
    import msvcrt

    def _try_lock(file):
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try_lock(file):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def hold(path):
    """Hold the lock file at path, waiting for another process that has it."""
    with open(path, "a") as file:
        told = False
        while True:
            try:
                _try_lock(file)
                break
            except OSError:
                if not told:
                    print("Another run.py is installing here; waiting for it.", flush=True)
                    told = True
                time.sleep(1)
        yield
