"""`ptune plan`: what `ptune train` will take, before it starts."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console

from ptune_cli.commands.experiment import Experiment
from ptune_cli.commands.train import Train
from ptune_cli.compilation import keep_compiled
from ptune_cli.data.limits import percent_cut
from ptune_cli.device import memory_bytes
from ptune_cli.evaluation.predict import Predictor, Protocol
from ptune_cli.evaluation.score import Scorer
from ptune_cli.prompts.bank import unchanged
from ptune_cli.reports.plan_table import gibibytes, table
from ptune_cli.t5.model import T5
from ptune_cli.training.loop import Every
from ptune_cli.training.plan import Sizes, Work
from ptune_cli.training.rehearsal import peak_bytes, rehearse, scoring_seconds


@dataclass(frozen=True, kw_only=True)
class Plan(Train):
    """Say what a training run will take: write plan where you would write train, and the rest of the command stays as it is.

    Parameters, microbatches, padding, cut examples, operations and XLA's account of memory come from sizes and data alone,
    whatever the size of the model. Time does not: the run is rehearsed on random weights, for some ten seconds of steps and
    a few batches of answers, after their programs are compiled, which the run need not do again. Where the model does not
    fit, and with --no-measure, there is no rehearsal. Expected times leave out compiling, loading and saving.

    Example: ptune plan --gin runs/demo.gin --seeds 0,1,2
    """

    output: str = ""  # not needed: a plan writes nothing
    measure: bool = field(default=True, metadata={"saved": False})  # rehearse the run, for its time and memory

    def run(self) -> None:
        """Print the plan, as a table or as JSON."""
        keep_compiled()
        experiment = self.experiment()
        work = experiment.work()
        sizes = Sizes.of(work)
        hindrance = self._hindrance(sizes)
        plan = {
            **asdict(sizes),
            **self._cut(experiment),
            "mixture": experiment.mixture(),
            "measured": None if hindrance else self._measured(experiment, work),
            "not_measured": hindrance,
        }
        if self.json:
            print(json.dumps(plan, indent=2))
        else:
            Console().print(table(plan))

    def _hindrance(self, sizes: Sizes) -> str | None:
        """Why the run is not rehearsed, if it is not."""
        if not self.measure:
            return "--no-measure"
        room = memory_bytes()
        return f"{gibibytes(sizes.step_bytes)} do not fit in {gibibytes(room)}" if sizes.step_bytes > room else None

    def _cut(self, experiment: Experiment) -> dict[str, float]:
        """The shares of the training examples that are cut."""
        splits = [experiment.training(task) for task in dict.fromkeys(self.tasks)]
        return {f"percent_cut_{kind}": share for kind, share in percent_cut(splits, experiment.lengths).items()}

    def _measured(self, experiment: Experiment, work: Work) -> dict[str, Any]:
        """Seconds of a step, of an evaluation, of scoring at the end and of the run; the most memory that was held."""
        step, weights = rehearse(work)
        cost = experiment.cost
        predictor = Predictor(T5(self.model.sizes()), cost, experiment.lengths, placement=experiment.placement)
        scorer = Scorer(predictor, experiment.vocabulary)

        def scoring(final: bool) -> float:
            total = 0.0
            for task, own in experiment.by_task(work.layouts).items():
                split = experiment.scored(task) if final else experiment.validation(task)
                places = [*([unchanged] if final else ()), *(place for _, place in own)]
                inputs = [place(experiment.lengths.input_ids(split.inputs(i))) for place in places for i in range(len(split))]
                protocols: list[Protocol] = ["greedy", *(["rank"] if split.labels else [])] if final else [self.protocol]
                total += scoring_seconds(scorer, weights, inputs, protocols, split.labels, cost)
            return total

        evaluation, final, evaluations = scoring(False), scoring(True), _evaluations(self.steps, self.every)
        return {
            "step_seconds": step,
            "steps": self.steps,
            "evaluation_seconds": evaluation,
            "evaluations": evaluations,
            "final_scoring_seconds": final,
            "run_seconds": self.steps * step + evaluations * evaluation + final,
            "peak_bytes": peak_bytes(),
        }


def _evaluations(steps: int, every: Every) -> int:
    """How often the validation split is scored: as often as is asked for, and after the last step."""
    return len({*range(0 if every.before_training else every.evaluate, steps, every.evaluate), steps})
