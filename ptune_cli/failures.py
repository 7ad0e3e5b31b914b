"""How one of several processes ends when it fails: it tells the others, and does not wait for them.

JAX's own farewell waits: the process that failed for its peers, and they in a collective for it, 300 seconds by default. So the
failure goes into the store that JAX's processes share, where each looks twice a second, and all leave without a farewell.
"""

import atexit
import os
import sys
import time

import jax
from jax._src import distributed  # the store has no public name; Orbax and MaxText come by it in the same way
from jax.errors import JaxRuntimeError

from ptune_cli.errors import RunFailure, exit_code

KEY = "ptune/failed"
SEEN = 2.0  # seconds in which the others have looked; the store is the first process's, and goes with it
# What JAX says where another process is no more.
PEER = ("gloo", "connection", "peer", "heartbeat", "coordination", "unavailable", "socket")


def tell(error: BaseException) -> None:
    """Tell the others of a failure that is this process's own. Of several failures the first one stays."""
    line = f"{type(error).__name__}: {' '.join(str(error).split())}"
    client = distributed.global_state.client
    if client is not None:
        try:
            client.key_value_set(KEY, f"{_me()} {line[:500]}")
        except JaxRuntimeError:  # set already, or the first process is gone: either way there is nothing to add
            return


def told() -> str | None:
    """What failed in another process, None if nothing did."""
    client = distributed.global_state.client
    try:
        said = client and client.key_value_try_get(KEY)
    except JaxRuntimeError:  # there is no such key yet, or the first process is gone, which JAX says itself
        return None
    return None if said and said.startswith(_me()) else said


def _me() -> str:
    return f"process {jax.process_index()} failed:"


def of_peer(error: BaseException) -> RunFailure | None:
    """What to say instead, if it is that another process is gone; None for an error of this process's own."""
    if not any(word in str(error).lower() for word in PEER):
        return None
    return RunFailure(told() or f"another process is gone: {str(error).splitlines()[0][:200]}")


def leave(error: BaseException) -> None:
    """At the process's end, when all is said, leave at once. JAX's own farewell was registered before, and would come after."""
    sys.stderr = sys.__stderr__  # what is said now, every process says

    def go() -> None:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        if jax.process_index() == 0:
            time.sleep(SEEN)
        os._exit(exit_code(error))

    atexit.register(go)
