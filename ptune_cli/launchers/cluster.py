"""What kubectl says of job sets: their states, the log of their first worker, their exit code."""

import json
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime

from ptune_cli.errors import RunFailure


@dataclass(frozen=True)
class State:
    """One job set."""

    phase: str  # "completed", "failed", "queued" or "running"
    restarts: int

    @property
    def done(self) -> bool:
        """It has ended well."""
        return self.phase == "completed"


def states(text: str) -> list[State]:
    """Of `kubectl get jobsets --output json`."""
    return [_state(item.get("status", {})) for item in json.loads(text)["items"]]


def _state(status: dict) -> State:
    suspended = any(item["type"] == "Suspended" and item["status"] == "True" for item in status.get("conditions", []))
    phase = status.get("terminalState", "").lower() or ("queued" if suspended else "running")
    return State(phase, status.get("restarts", 0))


def finished(found: list[State]) -> bool:
    """Whether there are job sets, and nothing more will happen to any."""
    return bool(found) and all(state.phase in ("completed", "failed") for state in found)


def summary(found: list[State]) -> str:
    """ "running", or of an array "3 completed, 5 running"; with how often it was restarted.

    RunFailure if there are none: someone has deleted them."""
    if not found:
        raise RunFailure("the job sets are gone from the cluster: deleted by someone else")
    restarts = sum(state.restarts for state in found)
    after = f", {restarts} restart{'s' * (restarts > 1)}" if restarts else ""
    phases = [state.phase for state in found]
    if len(found) == 1:
        return phases[0] + after
    return ", ".join(f"{phases.count(phase)} {phase}" for phase in sorted(set(phases))) + after


def exit_code(text: str) -> int:
    """Of `kubectl get pods --output json`, after a failure: 2 if a process ended so (a mistake in the command), else 1."""
    containers = [status for pod in json.loads(text)["items"] for status in pod.get("status", {}).get("containerStatuses", [])]
    codes = [status.get("state", {}).get("terminated", {}).get("exitCode", 0) for status in containers]
    return 2 if 2 in codes else 1


class Log:
    """The log of worker 0 of slice 0, over restarts, each line once."""

    def __init__(self, kubectl_logs: tuple[str, ...], name: str):
        indices = "jobset.sigs.k8s.io/job-index=0,batch.kubernetes.io/job-completion-index=0"
        selector = f"jobset.sigs.k8s.io/jobset-name={name},{indices}"
        self._command = (*kubectl_logs, "--selector", selector, "--follow", "--tail", "-1")
        self._since: tuple[str, ...] = ()

    def follow(self) -> None:
        """Print it until its process ends or the connection breaks; returns at once if it has not started."""
        subprocess.run((*self._command, *self._since), stderr=subprocess.DEVNULL)
        self._since = ("--since-time", datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"))
