"""GLUE: TFDS glue 2.0.0 in the original code's names. `mrpc` is `taskless_glue_mrpc_v200`, the paper's form.

SuperGLUE has an RTE too; GLUE's is `glue_rte`.
"""

from tasks.catalog import Entry, Text, with_taskless
from tasks.super_glue import NLI, NLI_LABELS, SPLITS, named

MNLI_LABELS = ("entailment", "neutral", "contradiction")
PAIR = named("sentence1", "sentence2")


def _entry(config: str, text: Text, rows: dict[str, int], *metrics: str, splits: dict[str, str] | None = None, **more) -> Entry:
    return Entry(
        group="GLUE",
        source=f"glue/{config}:2.0.0",
        splits=splits or {split: split for split in rows},
        rows=rows,
        text=text,
        labels=text.labels or None,
        metrics=metrics,
        headline=more.pop("headline", metrics),
        **more,
    )


def _classes(config: str, fields, labels: tuple[str, ...], rows: tuple[int, int, int], *metrics: str) -> Entry:
    return _entry(config, Text(fields=fields, labels=labels), dict(zip(SPLITS, rows, strict=True)), *metrics)


def _mnli(kind: str, validation: int, test: int) -> Entry:
    """MNLI's evaluation sets of its training's genres ("matched") or of others; the splits carry the kind in their names."""
    splits = {split: f"{split}_{kind}" for split in ("validation", "test")}
    text = Text(fields=NLI, labels=MNLI_LABELS)
    return _entry("mnli", text, {"validation": validation, "test": test}, "accuracy", splits=splits)


_STSB = Text(kind="stsb", fields=PAIR)
# name -> (the word its inputs begin with, entry)
DATASETS = {
    "cola": ("cola", _classes("cola", named("sentence"), ("unacceptable", "acceptable"), (8551, 1043, 1063), "matthews")),
    "sst2": ("sst2", _classes("sst2", named("sentence"), ("negative", "positive"), (67349, 872, 1821), "accuracy")),
    "mrpc": ("mrpc", _classes("mrpc", PAIR, ("not_equivalent", "equivalent"), (3668, 408, 1725), "f1", "accuracy")),
    "qqp": (
        "qqp",
        _classes(
            "qqp", named("question1", "question2"), ("not_duplicate", "duplicate"), (363846, 40430, 390965), "f1", "accuracy"
        ),
    ),
    "stsb": (
        "stsb",
        _entry(
            "stsb",
            _STSB,
            {"train": 5749, "validation": 1500, "test": 1379},
            "pearson_spearman",
            headline=("pearson", "spearman"),
            postprocess="number",
        ),
    ),
    "mnli": ("mnli", _entry("mnli", Text(fields=NLI, labels=MNLI_LABELS), {"train": 392702}, "accuracy")),
    "mnli_matched": ("mnli", _mnli("matched", 9815, 9796)),
    "mnli_mismatched": ("mnli", _mnli("mismatched", 9832, 9847)),
    "qnli": ("qnli", _classes("qnli", named("question", "sentence"), NLI_LABELS, (104743, 5463, 5463), "accuracy")),
    "rte": ("rte", _classes("rte", PAIR, NLI_LABELS, (2490, 277, 3000), "accuracy")),
    "wnli": ("wnli", _classes("wnli", PAIR, ("not_entailment", "entailment"), (635, 71, 146), "accuracy")),
    "ax": ("mnli", _entry("ax", Text(fields=NLI, labels=MNLI_LABELS), {"test": 1104}, "matthews")),
}


def _mnli_and_dev(form: str) -> Entry:
    """MNLI to train on, with the matched set to choose the step by, as the leaderboard's first column."""
    train, evaluation = f"{form}glue_mnli_v200", f"{form}glue_mnli_matched_v200"
    parts = {"train": (train, "train"), "validation": (evaluation, "validation"), "test": (evaluation, "test")}
    return Entry(group="GLUE", splits={split: split for split in SPLITS}, parts=parts, labels=MNLI_LABELS)


TASKS = {
    name: entry
    for short, (word, plain) in DATASETS.items()
    for name, entry in with_taskless(f"glue_{short}_v200", word, plain).items()
}
TASKS |= {f"{form}glue_mnli_and_dev_v200": _mnli_and_dev(form) for form in ("taskless_", "")}
ALIASES = {("glue_rte" if short == "rte" else short): f"taskless_glue_{short}_v200" for short in DATASETS}
ALIASES |= {"mnli": "taskless_glue_mnli_and_dev_v200"}
