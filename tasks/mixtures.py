"""Mixtures of tasks, {name: {task: rate}}: SuperGLUE in proportion to its training rows, and tasks that are put together."""

from tasks import catalog

# Training examples after the text is made: one for each answer of ReCoRD, one for each true row of WSC.
SUPER_GLUE = {"boolq": 9427, "cb": 250, "copa": 400, "multirc": 27243, "record": 138854, "rte": 2490, "wic": 5428}
WSC_TRAIN, DPR_TRAIN = 259, 1322


def all_mixtures() -> dict[str, dict[str, float]]:
    """Every mixture. Equal rates where only one of the tasks has a training split."""
    together = {name: entry.parts for name, entry in catalog.tasks().items() if not entry.has_data}
    joined = {name: {task: 1.0 for task, _ in parts.values()} for name, parts in together.items()}
    return joined | {
        f"{form}super_glue{dpr}_v102_proportional": super_glue(form, bool(dpr))
        for form in ("taskless_", "")
        for dpr in ("", "_with_dpr")
    }


def super_glue(form: str = "taskless_", with_dpr: bool = False) -> dict[str, float]:
    """The mixture of the paper's multi-task model tuning: the seven, WSC's true rows, and DPR if asked for."""
    rates = {f"{form}super_glue_{name}_v102": float(rows) for name, rows in SUPER_GLUE.items()}
    rates[f"{form}super_glue_wsc_v102_simple_train"] = float(WSC_TRAIN)
    # Evaluated, never trained on.
    rates[f"{form}super_glue_wsc_v102_simple_eval"] = 0.0
    return rates | ({f"{form}dpr_v001_simple": float(DPR_TRAIN)} if with_dpr else {})
