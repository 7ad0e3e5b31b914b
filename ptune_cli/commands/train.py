"""`ptune train`: tune prompts on a frozen T5, or run one of the paper's baselines. Read `run` first: it is the whole job."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from ptune_cli import gin_text
from ptune_cli.agreement import agree, code, first, from_first, own_folder
from ptune_cli.base_model import BaseModel
from ptune_cli.commands import results
from ptune_cli.commands.experiment import Experiment
from ptune_cli.commands.model_tuning import ModelTuning
from ptune_cli.commands.prompt_design import PromptDesign
from ptune_cli.commands.prompt_tuning import PromptTuning
from ptune_cli.compilation import keep_compiled
from ptune_cli.data.design import Design
from ptune_cli.data.preparation import ensure
from ptune_cli.data.prepared import Prepared
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.errors import UserError
from ptune_cli.evaluation.predict import Protocol, label_ids
from ptune_cli.file_task import with_templates
from ptune_cli.processes import Processes
from ptune_cli.prompts.bank import Member, Prompt, members
from ptune_cli.runs import RunFolder
from ptune_cli.training.loop import Every
from ptune_cli.training.optimizer import SGD, Adafactor, Adam

Splits = Mapping[tuple[str, str], Prepared]
SplitPolicy = Literal["dev-as-test", "carve"]
Method = Literal["prompt", "model", "design"]
METHODS: Mapping[Method, type[Experiment]] = {"prompt": PromptTuning, "model": ModelTuning, "design": PromptDesign}
CARVED = "end of train"  # the split that is carved off


@dataclass(frozen=True, kw_only=True)
class Train:
    """Tune prompts on a frozen T5: one for each task, length and seed, together over one loaded model.

    Run the same command again to go on where it stopped. `--method` runs the paper's baselines instead: model tuning, which
    trains all weights, and prompt design, which trains nothing and shows solved examples. Model tuning of several tasks is one
    model, trained on a mixture of them, in proportion to their rows. What tells such a model which task it answers is the text
    alone: give the tasks' forms with the dataset's word in front (super_glue_boolq_v102).

    Example: ptune train --gin runs/demo.gin --seeds 0,1,2 --output runs/demo
    """

    output: str  # the run folder
    model: BaseModel  # the frozen T5
    tasks: tuple[str, ...]  # names of tasks (gloss_topic), or your own as file:PATH or module:task
    method: Method = "prompt"  # or model: tune all weights; or design: solved examples before the input, no training
    template: str | None = field(default=None, metadata={"saved": False})  # inputs of file:PATH, as "premise: {premise}"
    target_template: str | None = field(default=None, metadata={"saved": False})  # default: {targets}, {label} or {target}
    prompt: Prompt = Prompt()  # length, start and place of the prompts
    design: Design = Design()  # of the method design
    mixing_limit: int | None = None  # of the method model: a task counts as so many rows at most (T5's K); 1: all tasks alike
    prompt_lengths: tuple[int, ...] = ()  # several lengths at once, instead of prompt.length
    seeds: tuple[int, ...] = (0,)  # one prompt for each: its start, data order and dropout
    optimizer: Adafactor | Adam | SGD = Adafactor()
    steps: int = 30_000
    batch_size: int = 32  # examples a step for each prompt
    positions: int | None = None  # computed at once, prompt included: the same result, less memory; default: what is fastest
    packing: bool | None = None  # several examples in a row, the same result; default: where that is faster
    input_length: int = 512  # tokens, EOS included, prompt not; longer inputs are cut
    target_length: int | None = None  # tokens, EOS included; default: the longest target
    truncate_targets: bool = False  # allow a target_length that cuts targets
    train_split: str = "train"
    validation_split: str = "validation"  # chooses the best step, unless the policy is to carve
    test_split: str | None = None  # scored once, at the end; default: the validation split
    split_policy: SplitPolicy = "dev-as-test"  # the paper's; carve: the end of the training split chooses the best step
    carved_rows: int | None = None  # how much is carved; default: a tenth of the training split, 5,000 at most
    protocol: Protocol = "greedy"  # how validation answers; rank scores each label
    z_loss: float = 1e-4
    every: Every = Every()
    processes: Processes = field(default=Processes(), metadata={"saved": False})  # of several, how they find each other
    mesh: str | None = field(default=None, metadata={"saved": False})  # rows, weights split: data=4,model=2; default: what fits
    offline: bool = field(default=False, metadata={"saved": False})  # download no dataset
    json: bool = field(default=False, metadata={"saved": False})  # print the result as JSON

    def __post_init__(self):
        for name in ("batch_size", "positions", "mixing_limit"):
            if (given := getattr(self, name)) is not None and given < 1:
                raise UserError(f"{name} is {given}, expected at least 1")
        if self.steps < 0:
            raise UserError(f"steps is {self.steps}, expected 0 or more")
        if not self.tasks or not self.seeds or not all(0 <= seed < 2**31 for seed in self.seeds):
            raise UserError("tasks and seeds cannot be empty, and a seed is 0 to 2147483647")
        if self.validation_split == "test":
            raise UserError("validation_split is test, which never chooses a step", "give another split, or --split_policy carve")
        # A template is part of its task's name, and so of all that is written about the run.
        object.__setattr__(self, "tasks", with_templates(self.tasks, self.template, self.target_template))

    def run(self) -> int | None:
        """Prepare data, load the model, train, score the best steps, say where they are."""
        keep_compiled()
        with self.processes.together(), own_folder(self.output) as output:
            experiment = self.experiment()
            agree(self._facts(experiment))
            with RunFolder.open(output, gin_text.write(self)) as folder:
                if not from_first(results.written(folder)):
                    results.write(folder, experiment, *experiment.run(folder))
                if first():
                    results.show(folder, self.json)

    def _facts(self, experiment: Experiment) -> dict[str, str]:
        """What several processes of a run have to have alike."""
        data = {" ".join(names): split.manifest["sha256"] for names, split in experiment.splits.items()}
        return {"code": code(), "configuration": gin_text.write(replace(self, output="")), "data": repr(data)}

    def experiment(self) -> Experiment:
        """The method with its members and their prepared data. UserError for what does not go together."""
        bank, vocabulary = self.bank(), self.model.load_vocabulary()
        found = METHODS[self.method](self, bank, self.prepare(vocabulary), vocabulary)
        found.check()
        return found

    def split_names(self) -> dict[str, str]:
        """Which split is what, as every result says."""
        chosen, scored = self.choosing_split, self.scored_split
        return {"policy": self.split_policy, "trained_on": self.train_split, "chosen_on": chosen, "scored_on": scored}

    def bank(self) -> list[Member]:
        """The members: tasks x lengths x seeds. Only prompt tuning has lengths."""
        lengths = self.prompt_lengths if self.method == "prompt" else ()
        prompts = [replace(self.prompt, length=n, name=f"p{n}") for n in lengths] or [self.prompt]
        return members(self.tasks, prompts, self.seeds)

    @property
    def scored_split(self) -> str:
        """What the best prompts are scored on at the end."""
        return self.test_split or self.validation_split

    @property
    def choosing_split(self) -> str:
        """What chooses the best step."""
        return CARVED if self.split_policy == "carve" else self.validation_split

    def prepare(self, vocabulary: Vocabulary) -> dict[tuple[str, str], Prepared]:
        """All splits of all tasks, prepared if need be. UserError for labels that are missing or that the model cannot spell."""
        splits = dict.fromkeys((self.train_split, self.validation_split, self.scored_split))
        wanted = list(dict.fromkeys((task, split) for task in self.tasks for split in splits))
        prepared = dict(zip(wanted, ensure(wanted, vocabulary, offline=self.offline), strict=True))
        for (task, _), split in prepared.items():
            label_ids(vocabulary, split.labels or ())
            if self.protocol == "rank" and not split.labels:
                raise UserError(f"{task} has no labels to rank", "use the protocol greedy")
        return {**prepared, **self._carved(prepared)} if self.split_policy == "carve" else prepared

    def _carved(self, splits: Splits) -> dict[tuple[str, str], Prepared]:
        """The training splits without their ends, and the ends."""
        found = {}
        for task in self.tasks:
            whole = splits[task, self.train_split]
            rows = min(max(len(whole) // 10, 1), 5000) if self.carved_rows is None else self.carved_rows
            if not 0 < rows < len(whole):
                raise UserError(f"carved_rows is {rows}, and {task} {self.train_split} has {len(whole)} examples")
            found[task, self.train_split] = whole.part(0, len(whole) - rows)
            found[task, CARVED] = whole.part(len(whole) - rows, len(whole))
        return found
