"""SuperGLUE, its two diagnostics, and DPR, which T5 trains beside WSC: TFDS super_glue 1.0.2 in the original code's names.

`boolq` is `taskless_super_glue_boolq_v102`, the paper's form; `super_glue_boolq_v102` begins its inputs with "boolq".
"""

from tasks.catalog import Entry, Text, with_taskless

# The paper's choice (section 3.2, footnote).
RECORD_WORDS = ("commonsense", "reasoning", "reading", "comprehension")
WSC_WORDS = ("commonsense", "reasoning", "pronoun", "resolution")
SPLITS = ("train", "validation", "test")
NLI = (("hypothesis", "hypothesis"), ("premise", "premise"))
NLI_LABELS = ("entailment", "not_entailment")


def named(*names: str) -> tuple[tuple[str, str], ...]:
    """Fields that are shown under their own names."""
    return tuple((name, name) for name in names)


def _entry(config: str, text: Text, rows: tuple[int, ...], *metrics: str, headline: tuple[str, ...] = (), **more) -> Entry:
    splits = SPLITS if len(rows) == 3 else SPLITS[-1:]
    return Entry(
        group="SuperGLUE",
        source=f"super_glue/{config}:1.0.2",
        splits={split: split for split in splits},
        rows=dict(zip(splits, rows, strict=True)),
        text=text,
        labels=text.labels or None,
        metrics=metrics,
        headline=headline or metrics,
        **more,
    )


def _classes(config: str, fields, labels: tuple[str, ...], rows: tuple[int, ...], *metrics: str) -> Entry:
    return _entry(config, Text(fields=fields, labels=labels), rows, *metrics)


_BOOLEAN = ("False", "True")
# name -> (the word its inputs begin with, entry); rows are those of the source: a row of ReCoRD has several answers.
DATASETS = {
    "boolq": ("boolq", _classes("boolq", named("passage", "question"), _BOOLEAN, (9427, 3270, 3245), "accuracy")),
    "cb": ("cb", _classes("cb", NLI, ("entailment", "contradiction", "neutral"), (250, 56, 250), "accuracy", "f1_macro")),
    "copa": (
        "copa",
        _classes("copa", named("choice1", "choice2", "premise", "question"), ("choice1", "choice2"), (400, 100, 500), "accuracy"),
    ),
    "multirc": (
        "multirc",
        _entry(
            "multirc",
            Text(kind="multirc", fields=named("question", "answer", "paragraph"), labels=_BOOLEAN),
            (27243, 4848, 9693),
            "multirc",
            headline=("f1a", "em"),
            postprocess="grouped_label",
        ),
    ),
    "record": (
        "record",
        _entry(
            "record",
            Text(kind="record"),
            (100730, 10000, 10000),
            "record",
            headline=("f1", "em"),
            postprocess="entity",
            first_words=RECORD_WORDS,
        ),
    ),
    "rte": ("rte", _classes("rte", NLI, NLI_LABELS, (2490, 277, 3000), "accuracy")),
    "wic": ("wic", _classes("wic", named("sentence1", "sentence2", "word"), _BOOLEAN, (5428, 638, 1400), "accuracy")),
    "axb": ("rte", _classes("axb", (("hypothesis", "sentence2"), ("premise", "sentence1")), NLI_LABELS, (1104,), "matthews")),
    "axg": ("rte", _classes("axg", NLI, NLI_LABELS, (356,), "accuracy")),
}


def _wsc(only_true: bool, rows: dict[str, int]) -> Entry:
    return Entry(
        group="SuperGLUE",
        source="super_glue/wsc.fixed:1.0.2",
        splits={split: split for split in rows},
        rows=rows,
        text=Text(kind="wsc", only_true=only_true),
        first_words=WSC_WORDS,
        postprocess="referent",
        metrics=("referent",),
    )


_WSC = {
    # To train on a candidate that is not the referent would teach what is wrong, so training has the true rows alone.
    **with_taskless("super_glue_wsc_v102_simple_train", "wsc:", _wsc(True, {"train": 554})),
    **with_taskless("super_glue_wsc_v102_simple_eval", "wsc:", _wsc(False, {"validation": 104, "test": 146})),
}
_DPR = Entry(
    group="SuperGLUE",
    source="definite_pronoun_resolution:1.1.0",
    splits={"train": "train", "test": "test"},
    rows={"train": 1322, "test": 564},
    text=Text(kind="dpr"),
)


def _wsc_and_dev(form: str) -> Entry:
    train, evaluation = (f"{form}super_glue_wsc_v102_simple_{kind}" for kind in ("train", "eval"))
    parts = {"train": (train, "train"), "validation": (evaluation, "validation"), "test": (evaluation, "test")}
    joined = _WSC[evaluation]
    return Entry(
        group="SuperGLUE",
        splits={s: s for s in SPLITS},
        parts=parts,
        first_words=WSC_WORDS,
        postprocess=joined.postprocess,
        metrics=joined.metrics,
    )


TASKS = {
    name: entry
    for short, (word, plain) in DATASETS.items()
    for name, entry in with_taskless(f"super_glue_{short}_v102", word, plain).items()
}
TASKS |= _WSC | with_taskless("dpr_v001_simple", "wsc:", _DPR)
TASKS |= {f"{form}super_glue_wsc_and_dev_v102_simple": _wsc_and_dev(form) for form in ("taskless_", "")}
ALIASES = {short: f"taskless_super_glue_{short}_v102" for short in DATASETS}
ALIASES |= {"wsc": "taskless_super_glue_wsc_and_dev_v102_simple", "dpr": "taskless_dpr_v001_simple"}
