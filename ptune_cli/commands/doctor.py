"""`ptune doctor`: how a run differs from the paper's recipe; without one, whether this machine can run at all.

It works where packages are missing, since that is what it tells. JAX is imported to ask for its devices, and for nothing else.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ptune_cli.commands.environment import checks
from ptune_cli.reports.deviations import RECIPE, deviations


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Tell how a run differs from the paper's recipe, and why that matters; or, without a run, check the machine.

    A run that differs is no failure. The exit code is 1 only if the machine has a problem that stops a run.

    Example: ptune doctor runs/demo
    """

    run_folder: str | None = field(default=None, metadata={"positional": True})  # of a `ptune train`; none: check the machine
    recipe: str = RECIPE  # what the run is compared with; the original repository's: runs/reference_repo.gin
    vocabulary: str | None = None  # which one to check: a SentencePiece file, a folder or gs://; none: the one that ships
    json: bool = field(default=False, metadata={"saved": False})

    def run(self) -> int:
        """Print the checks of the machine, or the deviations of `run_folder`."""
        return self._check() if self.run_folder is None else self._compare(self.run_folder)

    def _check(self) -> int:
        found = checks(self.vocabulary)
        if self.json:
            print(json.dumps({"checks": [asdict(check) for check in found]}, indent=2))
        else:
            for check in found:
                print(f"{check.state:<8} {check.name}: {check.found}{f'; {check.advice}' if check.advice else ''}")
        return int(any(check.state == "problem" for check in found))

    def _compare(self, folder: str) -> int:
        found, finished = deviations(folder, self.recipe), (Path(folder).expanduser() / "results.json").is_file()
        if self.json:
            rows = [deviation.as_json() for deviation in found]
            print(json.dumps({"run": folder, "recipe": self.recipe, "finished": finished, "deviations": rows}, indent=2))
            return 0
        print(f"{folder}{'' if finished else ' (not finished)'} beside {self.recipe}: {_count(len(found))}")
        for deviation in found:
            print(f"\n{deviation.setting}: {deviation.run}, not {deviation.recipe}")
            if deviation.why:
                print(f"  {deviation.why}")
        return 0


def _count(deviations: int) -> str:
    return f"{deviations or 'no'} deviation{'' if deviations == 1 else 's'}"
