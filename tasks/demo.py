"""The tasks that come with their data: what a dictionary's definition defines, and whether two verses say the same.

`webster_topic` asks gloss_topic's question of an older dictionary, in the same words: it trains on gloss_topic and chooses the
step there, as the tasks of `tasks.transfer` do.
"""

from dataclasses import replace

from tasks.catalog import Entry, Text

SPLITS = ("train", "validation", "test")


def _files(name: str, *splits: str) -> dict[str, str]:
    return {split: f"data/{name}/{split}.tsv" for split in splits}


_GLOSS_TOPIC = Entry(
    module="tasks.tab_separated",
    group="demo",
    splits={split: split for split in SPLITS},
    rows={"train": 4020, "validation": 600, "test": 3060},
    text=Text(kind="labelled", fields=(("gloss", "text"),)),
    labels=("animal", "food", "object", "person", "place", "plant"),
    metrics=("accuracy", "f1_macro"),
    data_files=_files("gloss_topic", *SPLITS),
)
TASKS = {
    "gloss_topic": _GLOSS_TOPIC,
    "webster_topic": replace(
        _GLOSS_TOPIC,
        rows={"test": 2366},
        data_files=_files("webster_topic", "test"),
        parts={split: ("gloss_topic", split) for split in ("train", "validation")},
    ),
    "verse_pair": replace(
        _GLOSS_TOPIC,
        rows={"train": 4000, "validation": 360, "test": 1800},
        text=Text(kind="labelled", fields=(("verse1", "first"), ("verse2", "second"))),
        labels=("different", "same"),
        metrics=("accuracy", "f1"),
        data_files=_files("verse_pair", *SPLITS),
    ),
}
ALIASES: dict[str, str] = {}
