"""Running other people's command-line programs: kubectl, gcloud."""

import subprocess
from collections.abc import Sequence

from ptune_cli.errors import RunFailure, UserError


class ProgramFailed(RunFailure):
    """A program ended with another code than 0: what was run, and what it said last."""

    def __init__(self, command: Sequence[str], code: int, said: str):
        self.said = " ".join(said.split()[-60:]) or "it said nothing"
        super().__init__(f"{' '.join(command[:6])} ... ended with {code}: {self.said}")


def output(command: Sequence[str]) -> str:
    """Run it and return what it printed, byte for byte: what is not UTF-8 is in surrogates.

    ProgramFailed if it fails; UserError if there is no such program.
    """
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    except FileNotFoundError:
        raise UserError(f"{command[0]} is not installed", "install it, or add --dry-run to see what it would be given") from None
    if done.returncode:
        raise ProgramFailed(command, done.returncode, (done.stderr or done.stdout).decode(errors="replace"))
    return done.stdout.decode(errors="surrogateescape")
