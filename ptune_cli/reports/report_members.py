"""What a report's lines are made of: each member of each run, with its scores on one task and the settings it was made with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptune_cli.file_task import shown
from ptune_cli.reports.run_folders import Run

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Scored:
    """A member on one split of a task. Scores are in percent; `metrics` are the task's headline metrics.

    Of a task that the run did not train on, what the majority class and the model alone score is not known.
    """

    run: Path
    sources: tuple[str, ...]  # the task that was trained on; several of one model that was trained on a mixture of them
    task: str
    split: str
    protocol: str
    method: str
    base_model: str
    fingerprint: str
    parameters: int
    settings: Settings
    seed: int
    n: int
    metrics: Mapping[str, float]
    invalid: float | None  # share of outputs that are no valid answer, decoded greedily; None if only labels were ranked
    majority: float | None = None
    untuned: float | None = None

    @property
    def source(self) -> str:
        """What was trained on, as one text."""
        return self.sources[0] if len(self.sources) == 1 else " + ".join(map(shown, self.sources))


def members(run: Run) -> Iterator[Scored]:
    """Those of a run on its own tasks, then on the others that it was evaluated on."""
    made, own = _settings(run), run.results["tasks"]
    for task, found in own.items():
        for row in found["members"]:
            yield _own(run, task, found, row, made[row["member"]])
    trained_on = {row["member"]: task for task, found in own.items() for row in found["members"]}
    for found in run.evaluations:
        for name, row in found["members"].items():
            if (found["task"], found["split"]) != (trained_on[name], own[trained_on[name]]["split"]):
                yield _evaluated(run, found, row, trained_on[name], made[name])


def _own(run: Run, task: str, found: Mapping, row: Mapping, settings: Settings) -> Scored:
    prefix, headline = f"{run.results['protocol']}_", found["headline"]
    return Scored(
        **_facts(run, found, settings),
        sources=tuple(run.results.get("mixture", ())) or (task,),
        task=task,
        protocol=run.results["protocol"],
        seed=row["seed"],
        metrics={name: row[prefix + name] for name in headline},
        invalid=row["invalid"],
        majority=_mean([found["majority"][name] for name in headline]),
        untuned=_mean([found["untuned"][prefix + name] for name in headline]),
    )


def _evaluated(run: Run, found: Mapping, row: Mapping, source: str, settings: Settings) -> Scored:
    return Scored(
        **_facts(run, found, settings),
        sources=(source,),
        task=found["task"],
        protocol=found["protocol"],
        seed=row["seed"],
        metrics={name: row[name] for name in found["headline"]},
        invalid=row["invalid"] if found["protocol"] == "greedy" else None,
    )


def _facts(run: Run, found: Mapping, settings: Settings) -> dict[str, Any]:
    names = {"base_model": "base_model", "fingerprint": "base_fingerprint", "parameters": "parameters", "method": "method"}
    of_run = {name: run.results[key] for name, key in names.items()}
    return {**of_run, "run": run.folder, "split": found["split"], "n": found["n"], "settings": settings}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _settings(run: Run) -> dict[str, Settings]:
    """{member: the run's settings, with one prompt length and one learning rate where the run has one for each member}."""
    tasks = run.results["tasks"].values()
    lengths, rates = run.settings.get("prompt_lengths") or (), run.settings.get("optimizer.learning_rate")
    made, number = {}, 0
    for found in tasks:
        kinds = len(lengths) if run.results["method"] == "prompt" else 0
        for place, row in enumerate(found["members"]):
            own = {**run.settings, "prompt_lengths": ()}
            if kinds:  # a task's members are lengths x seeds
                own["prompt.length"] = lengths[place * kinds // len(found["members"])]
            if isinstance(rates, tuple):
                own["optimizer.learning_rate"] = rates[number]
            made[row["member"]] = own
            number += 1
    return made
