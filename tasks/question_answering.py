"""SQuAD 1.1 and the MRQA 2019 sets: question and context in, the first answer out, scored against all answers.

The prompt tuning paper trains on SQuAD and evaluates on MRQA's six out-of-domain sets without further training (Table 1).
"""

from tasks.catalog import Entry, Text

# rows of (train, validation); those out of domain have one split, which the source calls test
IN_DOMAIN = {
    "news_qa": (74160, 4212),
    "trivia_qa": (61688, 7785),
    "search_qa": (117384, 16980),
    "hotpot_qa": (72928, 5901),
    "natural_questions": (104071, 12836),
}
OUT_OF_DOMAIN = {
    "bio_asq": 1504,
    "drop": 1503,
    "duo_rc": 1501,
    "race": 674,
    "relation_extraction": 2948,
    "textbook_qa": 1503,
}


def _entry(source: str, kind: str, splits: dict[str, str], rows: dict[str, int]) -> Entry:
    return Entry(
        group="question answering",
        source=source,
        splits=splits,
        rows=rows,
        text=Text(kind=kind),
        postprocess="answers",
        metrics=("squad",),
        headline=("f1",),  # the number of the paper's Table 1
    )


def _mrqa(name: str, splits: dict[str, str], rows: dict[str, int]) -> Entry:
    return _entry(f"mrqa/{name}:1.0.0", "mrqa", splits, rows)


_BOTH = {"train": "train", "validation": "validation"}
TASKS = {
    "squad_v010_allanswers": _entry("squad/v1.1:3.0.0", "squad", _BOTH, {"train": 87599, "validation": 10570}),
    **{f"mrqa_{name}_v100": _mrqa(name, {"validation": "test"}, {"validation": n}) for name, n in OUT_OF_DOMAIN.items()},
    **{f"mrqa_{name}_v100": _mrqa(name, _BOTH, dict(zip(_BOTH, rows, strict=True))) for name, rows in IN_DOMAIN.items()},
}
ALIASES = {"squad": "squad_v010_allanswers", **{name: f"mrqa_{name}_v100" for name in (*OUT_OF_DOMAIN, *IN_DOMAIN)}}
