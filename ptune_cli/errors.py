"""What the person at the shell did wrong, in one line. Anything else that is raised is a bug and keeps its traceback."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake of the user: the command line prints it as one line and exits with code 2.

    The message names what was given, what was expected and the nearest valid choice; the hint says what to do.
    """

    def __init__(self, message: str, hint: str = ""):
        super().__init__(f"{message}; {hint}" if hint else message)


def nearest(given: str, choices: Iterable[str]) -> str:
    """The end of an error about an unknown name: "did you mean 'boolq'? (have: boolq, cb, rte)"."""
    names = sorted(choices)
    have = f"(have: {', '.join(names)})" if names else "(have: none)"
    match = difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    return f"did you mean '{match[0]}'? {have}" if match else have


class RunFailure(Exception):
    """A run that cannot go on through no fault of the command line (a loss that is not a number): one line, exit code 1."""


class Preempted(Exception):
    """The run was told to stop (SIGTERM) and has saved what it needs to go on: one line, exit code 75."""
