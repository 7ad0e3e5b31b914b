"""The task that comes with its data: which kind of thing a dictionary's definition defines."""

from tasks.catalog import Entry

_SPLITS = ("train", "validation", "test")

TASKS = {
    "gloss_topic": Entry(
        module="tasks.tab_separated",
        group="demo",
        splits={split: split for split in _SPLITS},
        rows={"train": 4020, "validation": 600, "test": 3060},
        labels=("animal", "food", "object", "person", "place", "plant"),
        metrics=("accuracy", "f1_macro"),
        data_files={split: f"data/gloss_topic/{split}.tsv" for split in _SPLITS},
    ),
}
ALIASES: dict[str, str] = {}
