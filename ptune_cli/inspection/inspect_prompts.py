"""`ptune inspect`: what the rows of trained prompts are close to (section 7 of Lester et al. 2021)."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from ptune_cli.base_model import BaseModel
from ptune_cli.commands import trained
from ptune_cli.errors import UserError
from ptune_cli.inspection.findings import Looking
from ptune_cli.reports import inspect_page, inspect_table


@dataclass(frozen=True, kw_only=True)
class Inspect:
    """Say what the rows of trained prompts are close to: pieces of the frozen vocabulary, class labels, each other.

    Nearness is the cosine similarity to the embeddings of the vocabulary's pieces, <pad>, </s>, <unk> and the sentinels
    (<extra_id_0>) among them, as all are trained; the rows of the embedding table behind the last piece, which pad it to a
    round size, are left out. A label is near a row if the mean of its tokens' embeddings, which is what a prompt of class
    labels starts from, would be among the row's nearest pieces. What a row was before the first step is drawn again from
    the run's config.gin, so only for prompts that are in their run's folder.

    Example: ptune inspect runs/demo --html runs/demo/inspect.html
    """

    prompt: tuple[str, ...] = field(metadata={"positional": True})  # run folders, or a prompt's folder or file
    neighbours: int = 5  # nearest pieces of each row
    rows: int = 10  # of each prompt in the table; 0 shows all
    labels: tuple[str, ...] = ()  # words to look for; default: the labels of each prompt's task
    html: str | None = None  # write a page with pictures to this file
    model: BaseModel | None = None  # default: the base model the prompts name
    json: bool = field(default=False, metadata={"saved": False})  # print all that was found as JSON

    def __post_init__(self):
        if self.neighbours < 1 or self.rows < 0:
            raise UserError(f"neighbours is {self.neighbours} and rows {self.rows}", "expected at least 1 and 0")

    def run(self) -> None:
        """Load the base model, compare, show."""
        prompts = trained.find(*self.prompt)
        if tuned := [prompt for prompt in prompts if prompt.tuned]:
            raise UserError(f"{tuned[0].path} is a tuned model, which has no prompt", "name a run of prompt tuning")
        frozen = trained.load(prompts, trained.base_model(prompts, self.model))
        found = Looking(frozen, self.neighbours, self.labels).at(prompts)
        page = inspect_page.write(found, Path(self.html).expanduser()) if self.html else None
        if self.json:
            print(json.dumps(found.as_json(), indent=2, ensure_ascii=False))
        else:
            inspect_table.show(found, self.rows, page)
