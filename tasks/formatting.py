"""From a row as TFDS gives it to text-to-text examples, exactly as T5 and the prompt tuning paper spell them.

Every function here takes the row of one format of `tasks.catalog.Text`, the word that names the dataset ("boolq ", or ""
for the taskless form, the paper's) and returns {"inputs", "targets", and the fields that metrics need}.
"""

# ruff: noqa: TID253 - nothing imports this module but preparation, in a process of its own

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from tasks.catalog import SENTINEL, Text

Row = Mapping[str, Any]  # of tensors, some of them nested
HIDDEN = "<unk>"  # what T5 trains to say of a row whose label is hidden, as in test splits


def preprocessor(text: Text) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """The function from a dataset of rows to a dataset of examples; one row may give none or several."""

    def preprocess(dataset: tf.data.Dataset) -> tf.data.Dataset:
        if text.kind == "record":
            return dataset.map(lambda row: record(row, text)).unbatch()
        if text.only_true:
            dataset = dataset.filter(lambda row: tf.equal(row["label"], 1))
        return dataset.map(lambda row: _example(row, text), num_parallel_calls=tf.data.AUTOTUNE)

    return preprocess


def _example(row: Row, text: Text) -> dict:
    """A row in its format; a sentinel goes before what is not hidden."""
    example = FORMATS[text.kind](row, text)
    return {**example, "targets": _marked(example["targets"])} if text.sentinel else example


def _marked(targets: tf.Tensor) -> tf.Tensor:
    return tf.where(tf.equal(targets, HIDDEN), targets, _join(f"{SENTINEL} ", targets))


def fields(row: Row, text: Text) -> dict:
    """`word name: value name: value ...` in the order of `text.fields`, and a label's word."""
    return {"idx": row["idx"], "inputs": _named(row, text), "targets": _label(row, text)}


def labelled(row: Row, text: Text) -> dict:
    """As `fields`, of a row whose label is the target's text already."""
    return {"id": row["id"], "inputs": _named(row, text), "targets": row["label"]}


def multirc(row: Row, text: Text) -> dict:
    """One example an answer; the paragraph's HTML is taken out of all fields at once, as T5 does."""
    inputs = tf.strings.regex_replace(tf.strings.regex_replace(_named(row, text), "<br>", " "), "</?b>", "")
    return {**_flat("idx", row), "inputs": inputs, "targets": _label(row, text)}


def record(row: Row, text: Text) -> dict:
    """One example an answer [answers], all alike but for their targets; without an answer, one whose target is hidden."""
    passage = tf.strings.regex_replace(row["passage"], "([.?!\"'])\n@highlight\n", r"\1 ")
    passage = tf.strings.regex_replace(passage, "\n@highlight\n", ". ")
    entities = tf.strings.reduce_join(row["entities"], separator=", ")
    inputs = _join(text.word, "query: ", row["query"], " entities: ", entities, " passage: ", passage)
    targets = tf.cond(tf.size(row["answers"]) > 0, lambda: row["answers"], lambda: tf.constant([HIDDEN]))
    same = {**_flat("idx", row), "inputs": inputs, "answers": row["answers"]}
    repeated = {name: tf.repeat(value[None], tf.size(targets), axis=0) for name, value in same.items()}
    return {**repeated, "targets": targets}


def wsc(row: Row, text: Text) -> dict:
    """The pronoun between stars; the target is the candidate, also where it is not the referent."""
    words = tf.strings.split(row["text"], " ")
    index = tf.cast(row["span2_index"], tf.int32)
    before, after = (tf.strings.reduce_join(part, separator=" ") for part in (words[:index], words[index + 1 :]))
    inputs = _join(before, " *", row["span2_text"], "* ", after)
    for sentence, marked in WSC_MARKED.items():
        inputs = tf.where(tf.equal(row["text"], sentence), marked, inputs)
    return {"inputs": _join(text.word, inputs), "targets": row["span1_text"], "label": row["label"], "idx": row["idx"]}


def dpr(row: Row, text: Text) -> dict:
    """Definite pronoun resolution in WSC's form. Of several equal pronouns the first is meant."""
    pronoun = _join(" (", row["pronoun"], r")( |\.|,)")
    inputs = tf.strings.regex_replace(row["sentence"], pronoun, r" *\1*\2", replace_global=False)
    return {"inputs": _join(text.word, inputs), "targets": row["candidates"][row["label"]]}


def stsb(row: Row, text: Text) -> dict:
    """The score as one of 21 words, "0.0" to "5.0" in steps of 0.2."""
    score = tf.as_string(tf.round(row["label"] * 5) / 5, precision=1)
    return {"inputs": _named(row, text), "targets": score, "idx": row["idx"]}


def squad(row: Row, text: Text) -> dict:
    """Question, context and answers with spaces around punctuation; the first answer is the target."""
    shown = _asked(row, row["answers"]["text"], text)
    return {**shown, "targets": shown["answers"][0], "id": row["id"]}


def mrqa(row: Row, text: Text) -> dict:
    """As SQuAD, under MRQA's field names."""
    shown = _asked(row, row["answers"], text)
    return {**shown, "targets": shown["answers"][0], "answer": shown["answers"][0], "idx": row["qid"]}


FORMATS: dict[str, Callable[[Row, Text], dict]] = {
    "fields": fields,
    "labelled": labelled,
    "multirc": multirc,
    "wsc": wsc,
    "dpr": dpr,
    "stsb": stsb,
    "squad": squad,
    "mrqa": mrqa,
}

# Two rows of WSC whose word index misses the pronoun; T5 marks them by hand.
_WHIP = "The boy continued to whip the pony , and eventually the pony threw him over. John laughed out quite loud. "
_PEBBLE = (
    "When they had eventually calmed down a bit , and had gotten home, Mr. Farley put the magic pebble in an iron safe . "
    "Some day they might want to use {} , but really for now, what more could they wish for?"
)
WSC_MARKED = {
    _WHIP + '"Good for him," he said. ': _WHIP + '"Good for *him* ," he said.',
    _PEBBLE.format("it"): _PEBBLE.format("*it*"),
}


def _named(row: Row, text: Text) -> tf.Tensor:
    """`text.fields` is a sequence of (the name that is shown, the row's field)."""
    return _join(text.word, tf.strings.join([_join(f"{name}: ", row[field]) for name, field in text.fields], " "))


def _label(row: Row, text: Text) -> tf.Tensor:
    return tf.where(row["label"] < 0, HIDDEN, tf.gather(text.labels, tf.maximum(row["label"], 0)))


def _flat(name: str, row: Row) -> dict:
    return {f"{name}/{key}": value for key, value in row[name].items()}


def _asked(row: Row, answers: tf.Tensor, text: Text) -> dict:
    question, context = _spaced(row["question"]), _spaced(row["context"])
    inputs = _join(text.word, "question: ", question, " context: ", context)
    shown = {"question": question, "context": context, "answers": _spaced(answers)}
    return {**shown, "inputs": tf.strings.regex_replace(inputs, r"\s+", " ")}


def _spaced(text: tf.Tensor) -> tf.Tensor:
    return tf.strings.regex_replace(tf.strings.regex_replace(text, r"([[:punct:]])", r" \1 "), r"\s+", " ")


def _join(*parts) -> tf.Tensor:
    return tf.strings.join(parts)
