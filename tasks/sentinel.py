"""SuperGLUE's and the demo's classes in the form of span corruption: the target is "<extra_id_0> True" (Lester et al. 2021, 2.2).

That is "Span Corruption + Sentinel" of the paper's figure 3c: a frozen T5 that was never adapted has only seen targets that
begin with a sentinel. A prediction is scored without it. `super_glue_boolq_v102` is `super_glue_boolq_v102_1_sentinel` here.
"""

from dataclasses import replace

from tasks import demo, super_glue
from tasks.catalog import SENTINEL, Entry

FORM = "_1_sentinel"  # how T5 calls it, behind the task's name
OF_DEMO = ("gloss_topic", "verse_pair")


def with_sentinel(entry: Entry) -> Entry:
    """The task with the first sentinel before its labels."""
    return replace(
        entry,
        text=replace(entry.text, sentinel=True),
        labels=tuple(f"{SENTINEL} {label}" for label in entry.labels or ()),
        postprocess=f"{entry.postprocess}_after_sentinel",
    )


def plain(name: str) -> str:
    """The task whose form the task is; any other as it is."""
    return name.removesuffix(FORM)


_PLAIN = {**{name: demo.TASKS[name] for name in OF_DEMO}, **super_glue.TASKS}
TASKS = {f"{name}{FORM}": with_sentinel(entry) for name, entry in _PLAIN.items() if entry.labels}
ALIASES: dict[str, str] = {}  # too many for the list that people choose from
