"""Zero-shot transfer between domains: train on one dataset, be tested on another (the paper's section 5, Tables 1 and 2).

A model that was trained on QQP answers MRPC's questions in QQP's words, so those are translated before they are scored.
`squad_to_bio_asq` trains on SQuAD, chooses the step on SQuAD, and has the other set as its test split.
"""

from dataclasses import replace

from tasks import glue, question_answering
from tasks.catalog import Entry, with_taskless

PAIRS = {"mrpc_from_qqp": ("mrpc", "qqp"), "qqp_from_mrpc": ("qqp", "mrpc")}  # name -> (target, source)


def _translated(target: str, source: str) -> Entry:
    _, entry = glue.DATASETS[target]
    return replace(
        entry,
        group="transfer",
        splits={"validation": "validation"},
        rows={"validation": entry.rows["validation"]},
        postprocess=f"from_{source}",
    )


def _zero_shot(source: str, target: str, labels: tuple[str, ...] | None, like: Entry) -> Entry:
    parts = {"train": (source, "train"), "validation": (source, "validation"), "test": (target, "validation")}
    return replace(
        like, group="transfer", source=None, splits={split: split for split in parts}, rows={}, parts=parts, labels=labels
    )


_TRANSLATED = {name: (target, _translated(target, source)) for name, (target, source) in PAIRS.items()}
TASKS = {
    name: entry
    for short, (word, plain) in _TRANSLATED.items()
    for name, entry in with_taskless(f"glue_{short}_v200", word, plain).items()
}
TASKS |= {
    f"{form}glue_{short}_zeroshot_v200": _zero_shot(
        f"{form}glue_{source}_v200", f"{form}glue_{short}_v200", glue.DATASETS[source][1].labels, glue.DATASETS[source][1]
    )
    for form in ("taskless_", "")
    for short, (_, source) in PAIRS.items()
}
TASKS |= {
    f"squad_to_{name}": _zero_shot(
        "squad_v010_allanswers", f"mrqa_{name}_v100", None, question_answering.TASKS["squad_v010_allanswers"]
    )
    for name in question_answering.OUT_OF_DOMAIN
}
ALIASES = {
    **{short: f"taskless_glue_{short}_v200" for short in PAIRS},
    **{f"{source}_to_{target}": f"taskless_glue_{target}_from_{source}_zeroshot_v200" for target, source in PAIRS.values()},
}
