"""What the person at the shell did wrong, in one line. Anything else that is raised is a bug and keeps its traceback."""

import difflib
import errno
from collections.abc import Iterable
from pathlib import Path

# The user's to solve, wherever they come up: full disk, quota, no permission, read-only.
USER_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
SHOWN = 40  # names in one message: a folder may hold thousands


class UserError(Exception):
    """A mistake of the user: the command line prints it as one line and exits with code 2.

    The message names what was given, what was expected and the nearest valid choice; the hint says what to do.
    """

    def __init__(self, message: str, hint: str = ""):
        super().__init__(f"{message}; {hint}" if hint else message)


def nearest(given: str, choices: Iterable[str]) -> str:
    """The end of an error about an unknown name: "did you mean 'boolq'? (have: boolq, cb, rte)"."""
    names = sorted(choices)
    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    have = f"(have: {', '.join(names[:SHOWN]) or 'none'}{more})"
    match = difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    return f"did you mean '{match[0]}'? {have}" if match else have


def nearest_path(path: Path | str) -> str:
    """The same about a path that does not exist: "in runs: did you mean 'demo'? (have: demo, boolq)"."""
    missing = Path(path).expanduser()
    while not missing.parent.exists():
        missing = missing.parent
    names = [entry.name for entry in missing.parent.iterdir()] if missing.parent.is_dir() else []
    return f"in {missing.parent}: {nearest(missing.name, [name for name in names if name[0] != '.'])}"


class RunFailure(Exception):
    """A run that cannot go on through no fault of the command line (a loss that is not a number): one line, exit code 1."""


class Preempted(Exception):
    """The run was told to stop (SIGTERM) and has saved what it needs to go on: one line, exit code 75."""


def exit_code(error: BaseException) -> int:
    """What a process ends with that this ends; 1 is a traceback's as well."""
    if isinstance(error, UserError) or (isinstance(error, OSError) and error.errno in USER_ERRNOS):
        return 2
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    # 75 is EX_TEMPFAIL of sysexits.h, which schedulers take for "start it again"
    return 75 if isinstance(error, Preempted) else 130 if isinstance(error, KeyboardInterrupt) else 1
