"""Running another program as if it were this one."""

import signal
import subprocess


def pass_through(command, **options):
    """Run to the end and return its exit status; Ctrl-C and SIGTERM are its to answer."""
    process = subprocess.Popen(list(map(str, command)), **options)
    previous = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        while True:
            try:
                status = process.wait()
                break
            except KeyboardInterrupt:
                # The terminal has sent it to the program as well.
                continue
    finally:
        signal.signal(signal.SIGTERM, previous)
    return status if status >= 0 else 128 - status
