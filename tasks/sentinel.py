"""SuperGLUE's classification tasks in the form of span corruption: the target is "<extra_id_0> True" (Lester et al. 2021, 2.2).

That is "Span Corruption + Sentinel" of the paper's figure 3c: a frozen T5 that was never adapted has only seen targets that
begin with a sentinel. A prediction is scored without it. `super_glue_boolq_v102` is `super_glue_boolq_v102_1_sentinel` here.
"""

from dataclasses import replace

from tasks import super_glue
from tasks.catalog import SENTINEL, Entry


def with_sentinel(entry: Entry) -> Entry:
    """The task with the first sentinel before its labels."""
    return replace(
        entry,
        text=replace(entry.text, sentinel=True),
        labels=tuple(f"{SENTINEL} {label}" for label in entry.labels or ()),
        postprocess=f"{entry.postprocess}_after_sentinel",
    )


TASKS = {f"{name}_1_sentinel": with_sentinel(entry) for name, entry in super_glue.TASKS.items() if entry.labels}
ALIASES: dict[str, str] = {}  # too many for the list that people choose from
