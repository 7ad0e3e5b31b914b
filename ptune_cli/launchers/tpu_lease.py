"""Asking Google for a TPU, waiting for it, and giving it back."""

import sys
import time
from dataclasses import dataclass, field

from ptune_cli.errors import RunFailure, UserError
from ptune_cli.launchers.programs import ProgramFailed, output
from ptune_cli.launchers.tpu_vm import Command, TpuVm

MISSES = 20  # unanswered questions in a row before giving up


class Taken(Exception):
    """Google has taken the TPU away, or is about to."""


@dataclass(kw_only=True)
class Lease:
    """A queued resource as Google has it. `held` is whether there is one, which costs."""

    machine: TpuVm
    create: Command
    poll: float  # seconds between two questions
    held: bool = field(default=False, init=False)
    _misses: int = field(default=0, init=False)

    def acquire(self) -> bool:
        """Return when it is active; True if it was there before, so that its command may be there too.

        UserError if Google refuses the request, RunFailure if it cannot be filled."""
        while (state := self.state()) in ("SUSPENDING", "DELETING", "UNKNOWN"):
            time.sleep(self.poll)
        if state in ("SUSPENDED", "FAILED"):
            self.delete()
        new = state in ("SUSPENDED", "FAILED", "NOT_FOUND")
        if new:
            self._ask()
        self.held = True
        self._wait()
        return not new

    def state(self) -> str:
        """Google's word for it; NOT_FOUND; or UNKNOWN when there is no answer, MISSES times, then RunFailure."""
        try:
            said = output(self.machine.state()).strip()
        except ProgramFailed as failure:
            if "NOT_FOUND" in failure.said:
                return "NOT_FOUND"
            self._misses += 1
            if self._misses == MISSES:
                raise
            return "UNKNOWN"
        self._misses = 0
        return said

    def check(self) -> str:
        """Its state; Taken if Google takes it away, RunFailure if someone has deleted it."""
        state = self.state()
        if state in ("SUSPENDING", "SUSPENDED"):
            raise Taken
        if state == "NOT_FOUND":
            self.held = False
            raise RunFailure(f"{self.machine.name} was deleted by someone else")
        return state

    def delete(self) -> None:
        """Wait until it is gone."""
        output(self.machine.delete())
        self.held = False

    def give_back(self, keep: bool) -> bool:
        """Delete it, if it is there, unless it is to be kept. False, with what to do, if Google does not."""
        delete = " ".join(self.machine.delete())
        if not self.held:
            return True
        if keep:
            print(f"ptune: {self.machine.name} is kept, and costs. To give it back: {delete}", file=sys.stderr)
            return True
        try:
            self.delete()
        except ProgramFailed as failure:
            print(f"ptune: {self.machine.name} was not deleted, and costs: {failure.said}. Try: {delete}", file=sys.stderr)
            return False
        return True

    def _ask(self) -> None:
        try:
            output(self.create)
        except ProgramFailed as failure:
            raise UserError(f"Google refused to create {self.machine.name}: {failure.said}") from None

    def _wait(self) -> None:
        said = ""
        while said != "ACTIVE":
            if said:
                time.sleep(self.poll)
            state = self.check()
            if state == "FAILED":
                raise RunFailure(f"Google could not provide {self.machine.name}: the request has failed")
            if state != said:
                print(f"{self.machine.name}: {state}", flush=True)
                said = state
