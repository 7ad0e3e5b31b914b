"""The text of every task is the reference's, row for row: `oracles/formatting.json` is what its preprocessors emit."""

import json
from pathlib import Path

import pytest

from tasks import catalog

ORACLE = json.loads((Path(__file__).parent / "oracles" / "formatting.json").read_text("utf-8"))


def ours(name: str) -> str:
    """Our name of a reference task: TFDS refuses glue 1.0.0 today, and 2.0.0 has the same text; `_examples` only logs."""
    return name.replace("_v002", "_v200").removesuffix("_examples")


def plain(value):
    """A tensor's content as JSON has it."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return [plain(item) for item in value] if isinstance(value, list) else value.decode() if isinstance(value, bytes) else value


def examples(name: str, raw: dict) -> list[dict]:
    import tensorflow as tf

    from tasks.formatting import preprocessor

    # An empty list has no type of its own; the only ones here are of texts.
    tensors = tf.nest.map_structure(lambda x: x, {k: tf.constant(v, tf.string) if v == [] else v for k, v in raw.items()})
    tensors = {key: value if key != "detected_answers" and key != "entity_spans" else {} for key, value in tensors.items()}
    dataset = preprocessor(catalog.lookup(ours(name)).text)(tf.data.Dataset.from_tensors(tensors))
    return [{key: plain(value) for key, value in example.items()} for example in dataset.as_numpy_iterator()]


@pytest.mark.parametrize("name", ORACLE)
def test_the_text_of_a_task_is_the_references(name):
    for row in ORACLE[name]:
        assert examples(name, row["raw"]) == row["examples"]


@pytest.mark.parametrize("name", [name for name in catalog.tasks() if name.startswith("taskless_")])
def test_the_taskless_form_is_the_other_without_its_first_word(name):
    taskless, with_word = catalog.lookup(name), catalog.lookup(name.removeprefix("taskless_"))
    if taskless.parts:
        assert {s: (t.removeprefix("taskless_"), p) for s, (t, p) in taskless.parts.items()} == with_word.parts
        return
    assert taskless.text.word == "" and with_word.text.word.count(" ") == 1
    assert catalog.replace(with_word, text=taskless.text) == taskless
