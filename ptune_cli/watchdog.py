"""Ends a process of several that would wait for ever: for a peer that has failed, or for one that hangs alive."""

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable

HUNG = 74  # the exit code, EX_IOERR of sysexits.h
OFTEN = 0.5  # seconds between looks

_last: float | None = None  # when there was a sign of life; None: nobody is to wait for one


def alive() -> None:
    """A sign of life: a step, or a batch of answers. From the first one on the next is waited for."""
    global _last
    _last = time.monotonic()


def rest() -> None:
    """No sign of life is waited for until the next one."""
    global _last
    _last = None


def watch(seconds: float, failure: Callable[[], str | None]) -> None:
    """From now on: end with code 1 when `failure` has something to say, which is printed; and after so many seconds without
    a sign of life, say where each thread is and end with code 74."""
    threading.Thread(target=_watch, args=(seconds, failure), daemon=True, name="watchdog").start()


def _watch(seconds: float, failure: Callable[[], str | None]) -> None:
    while True:
        time.sleep(OFTEN)
        if said := failure():
            _end(said, 1)
        if _last is not None and time.monotonic() - _last > seconds:
            faulthandler.dump_traceback(2)
            _end(f"no step for {seconds:.0f} seconds; run the same command again to go on", HUNG)


def _end(said: str, code: int) -> None:
    print(f"ptune: {said}", file=sys.__stderr__, flush=True)
    os._exit(code)
