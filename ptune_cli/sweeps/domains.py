"""What a transfer trains on and what it is tested on, and that the one knows nothing of the other."""

from collections.abc import Sequence
from dataclasses import dataclass

from ptune_cli.commands.train import Train
from ptune_cli.data.origin import origin
from ptune_cli.errors import UserError
from ptune_cli.file_task import absolute, shown
from tasks.catalog import full_name

ARROW = "->"


@dataclass(frozen=True)
class Domains:
    """A task that is trained on, and those that are evaluated without further training."""

    source: str
    targets: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Domains":
        """Read "SOURCE -> TARGET TARGET". UserError for anything else, and for a target that is the source, or twice there."""
        source, _, targets = text.partition(ARROW)
        if len(source.split()) != 1 or not targets.split():
            raise UserError(f"'{text}' is no transfer", f"expected SOURCE {ARROW} TARGET TARGET, as in squad {ARROW} race drop")
        found = cls(source.strip(), tuple(targets.split()))
        for name in map(_whole_name, found.targets):
            if name == _whole_name(found.source):
                hint = "a target is a task that is not trained on; the source has the first row anyway"
                raise UserError(f"{shown(name)} is the source of '{text}', and a target of it", hint)
            if list(map(_whole_name, found.targets)).count(name) > 1:
                raise UserError(f"{shown(name)} is a target of '{text}' twice", "give each target once")
        return found

    def check(self, train: Train, split: str) -> None:
        """UserError where `split` of a target has rows that the training run reads, as it might choose the step by them."""
        [source] = train.tasks
        seen = {"trains on": train.train_split, "chooses its step on": train.validation_split, "is scored on": train.scored_split}
        for target in self.targets:
            place = origin(target, split)
            for what, own in seen.items():
                if origin(source, own) == place:
                    raise UserError(
                        f"{shown(target)} {split} is {place}, which {shown(source)} {what}",
                        "zero-shot is without any look at the target: the step is chosen on the source's validation split alone; "
                        "give another target, or --split",
                    )


def sources(domains: Sequence[Domains]) -> str:
    """The tasks that are trained on, as the values of an axis."""
    return " ".join(own.source for own in domains)


def _whole_name(task: str) -> str:
    return full_name(absolute(task))
