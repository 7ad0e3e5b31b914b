"""`ptune transfer`: train on one task, evaluate on others without further training, two methods side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ptune_cli.errors import UserError
from ptune_cli.reports import transfer_figure, transfer_table
from ptune_cli.reports.transfer_results import Found, collect
from ptune_cli.sweeps.domains import Domains, sources
from ptune_cli.sweeps.evaluations import Evaluation, evaluate
from ptune_cli.sweeps.points import FILE, TASKS, Point, expand
from ptune_cli.sweeps.running import run_all, show_plan, state, stoppable


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """Zero-shot transfer (the paper's Tables 1 and 2): train on one task, evaluate on others, compare two methods.

    The step is chosen on the validation split of the task that is trained on, and no row of a target is read before that is
    done. Finished runs and evaluations are not done again; one that fails stops no other.

    Example: ptune transfer --gin transfers/glosses.gin
    Example: ptune transfer --base runs/demo.gin --transfers "gloss_topic -> webster_topic" --output runs/webster
    """

    output: str  # the folder of all the runs, and of the table
    base: tuple[str, ...]  # gin files that every run reads
    transfers: tuple[str, ...]  # "SOURCE -> TARGET TARGET": the task that is trained on, and tasks that are not
    methods: tuple[str, ...] = ("methods/prompt_tuning.gin", "methods/model_tuning.gin")  # gin files; one, or two that differ
    split: str = "test"  # of the targets
    seeds: tuple[int, ...] = (0, 1, 2)
    model: str | None = None  # its checkpoint; default: what the files say
    vocabulary: str | None = None  # default: what the files say; of a model that is given, the checkpoint's own
    jobs: int = 1  # runs at once
    offline: bool = False  # download no dataset
    dry_run: bool = field(default=False, metadata={"saved": False})  # list what is to be done, and stop
    json: bool = field(default=False, metadata={"saved": False})  # print the table as JSON

    def __post_init__(self):
        if self.jobs < 1:
            raise UserError(f"jobs is {self.jobs}, expected at least 1")
        if len(self.methods) not in (1, 2):
            raise UserError(f"{len(self.methods)} methods were given", "expected one, or two, of which the difference is told")

    def run(self) -> int:
        """Train, evaluate, compare; of each, what is not done yet. Exit code 1 if something failed."""
        points = self.points()
        if self.dry_run:
            return self._show_plan(points)
        with stoppable():
            failed = run_all(points, self.jobs)
            planned = self.evaluations([point for point in points if point not in failed])
            missing = evaluate(planned, self.offline)
        rows = collect([_found(own) for own in planned if own not in missing], [Path(method).stem for method in self.methods])
        if rows:
            transfer_table.write(rows, Path(self.output))
            transfer_table.show(rows, transfer_figure.draw(rows, Path(self.output)), self.json)
        return 1 if failed or missing else 0

    def points(self) -> list[Point]:
        """The runs. UserError for what would not be a fair comparison, or not zero-shot, before any of them starts."""
        domains = [Domains.parse(text) for text in self.transfers]
        over = [f"{TASKS}={sources(domains)}", f"{FILE}={' '.join(self.methods)}"]
        points = expand(self.base, over, self.output, self._flags())
        for point in points:
            if point.train.method == "design":
                raise UserError("prompt design trains nothing that could be transferred", "give other --methods")
            if len(point.train.prompt_lengths) > 1:
                raise UserError("the runs have several prompt_lengths, and a row of the table is of one", "set prompt.length")
            _of(point, domains).check(point.train, self.split)
        return points

    def evaluations(self, points: Sequence[Point]) -> list[Evaluation]:
        """What each run is evaluated on: its own task first, on the split that it scores."""
        domains, planned = [Domains.parse(text) for text in self.transfers], []
        for point in points:
            planned.append(Evaluation(point, point.train.tasks[0], point.train.scored_split))
            planned += [Evaluation(point, target, self.split) for target in _of(point, domains).targets]
        return planned

    def _flags(self) -> list[str]:
        flags = ["--seeds", ",".join(map(str, self.seeds))]
        if self.offline:
            flags.append("--offline")
        if self.model:
            flags += ["--model.checkpoint", self.model]
        if self.model or self.vocabulary:
            flags += ["--model.vocabulary", self.vocabulary or "none"]
        return flags

    def _show_plan(self, points: Sequence[Point]) -> int:
        show_plan(points)
        for evaluation in self.evaluations(points):
            print(f"{state(evaluation.finished())}  {evaluation.command}")
        return 0


def _of(point: Point, domains: Sequence[Domains]) -> Domains:
    return next(own for own in domains if own.source == dict(point.labels)[TASKS])


def _found(evaluation: Evaluation) -> Found:
    labels = dict(evaluation.point.labels)
    return Found(evaluation.point.train.tasks[0], Path(labels[FILE]).stem, evaluation.file())
