"""The paper's Table 3 beside ensembles of ours: the same task and metric, on the validation split."""

from collections.abc import Sequence
from dataclasses import dataclass

from ptune_cli.reports import paper
from ptune_cli.reports.ensembles import AVERAGE, BEST, VOTE, Ensemble
from ptune_cli.reports.paper_beside import Wanted, ensembles_row

SPLIT = "validation"


@dataclass(frozen=True)
class EnsembleBeside:
    """A row of Table 3 and an ensemble of ours, with its number in the table of ensembles."""

    table: paper.Table
    wanted: Wanted
    ensemble: Ensemble
    number: int

    @property
    def ours(self) -> str:
        """The average and the best of the prompts, and their majority vote, as the paper has them."""
        own, metric = self.ensemble.scores, self.wanted.own_metric(self.ensemble.metrics) or ""
        return ", ".join(
            f"{name} {own[kind][metric]:.1f}" for name, kind in ((AVERAGE, AVERAGE), (BEST, BEST), ("ensemble", VOTE))
        )


def beside(ensembles: Sequence[Ensemble]) -> list[EnsembleBeside]:
    """All matches, in the paper's order."""
    table = paper.table("ensembles")
    return [
        EnsembleBeside(table, wanted, own, number)
        for wanted in map(ensembles_row, table.rows)
        for number, own in enumerate(ensembles, 1)
        if own.split == SPLIT and len(own.sources) == 1 and wanted.is_of(own.sources[0], own.task, own.split)
        if wanted.own_metric(own.metrics)
    ]
