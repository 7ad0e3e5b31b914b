"""Ends a process that gets nowhere: a peer that hangs alive is noticed by nobody else, and its collectives wait for ever."""

import faulthandler
import os
import sys
import threading
import time

HUNG = 74  # the exit code, EX_IOERR of sysexits.h

_last: float | None = None  # when there was a sign of life; None: nobody is to wait for one


def alive() -> None:
    """A sign of life: a step, or a batch of answers. From the first one on the next is waited for."""
    global _last
    _last = time.monotonic()


def rest() -> None:
    """Nothing is waited for until the next sign of life."""
    global _last
    _last = None


def watch(seconds: float) -> None:
    """From now on: after so many seconds without a sign of life say where each thread is, and end with code 74."""
    threading.Thread(target=_watch, args=(seconds,), daemon=True, name="watchdog").start()


def _watch(seconds: float) -> None:
    while True:
        time.sleep(min(seconds / 10, 5.0))
        if _last is not None and time.monotonic() - _last > seconds:
            faulthandler.dump_traceback(sys.__stderr__)
            print(f"ptune: no step for {seconds:.0f} seconds: ended; run the same command again to go on", file=sys.__stderr__)
            sys.__stderr__.flush()
            os._exit(HUNG)
