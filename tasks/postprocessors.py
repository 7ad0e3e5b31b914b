"""From a model's text to an answer that metrics compare, without TensorFlow.

A row is a prepared example: "inputs" and "targets" as text, and the task's other fields. An answer can be written as JSON; one
that is no valid answer is None, alone or as the "value" of a mapping.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tasks.catalog import SENTINEL

Postprocessor = Callable[[str, Mapping, Sequence[str] | None, bool], Any]
"""(text, row, labels, is_target) -> answer. The text is the row's target if `is_target`, else the model's."""

# The words that do not tell one referent from another, as T5's post-processing of WSC has them.
_DETERMINERS = frozenset(
    "a an the this that these those each every few many much some which whose my your his her our their".split()
)
_EQUIVALENT = {"duplicate": "equivalent", "not_duplicate": "not_equivalent"}
_DUPLICATE = {word: source for source, word in _EQUIVALENT.items()}


def label(text: str, labels: Sequence[str] | None) -> str | None:
    """The text without white space around it; None if it is not one of `labels`. `labels` None accepts every text."""
    text = text.strip()
    return text if labels is None or text in labels else None


def bare(text: str) -> str:
    """The text without a sentinel in front, which a target in the form of span corruption begins with."""
    return text.strip().removeprefix(SENTINEL).lstrip()


def invalid(answer: Any) -> bool:
    """Whether a prediction's answer is none of the task's."""
    return answer is None or (isinstance(answer, Mapping) and "value" in answer and answer["value"] is None)


def hidden(row: Mapping) -> bool:
    """Whether the right answer is kept back, as in the test splits of leaderboards: TFDS labels those rows -1."""
    return row["targets"] in ("<unk>", "-1.0") or row.get("label") == -1


def _label(text: str, row: Mapping, labels: Sequence[str] | None, is_target: bool) -> str | None:
    """Targets are taken as they are, so that one outside `labels`, as of a hidden test label, equals no prediction."""
    return text if is_target else label(text, labels)


def _number(text: str, row: Mapping, labels: Sequence[str] | None, is_target: bool) -> float | None:
    """The text as a finite number."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _answers(text: str, row: Mapping, labels: Sequence[str] | None, is_target: bool) -> list[str] | str:
    """The list of right answers of a question, or the text given."""
    return list(row["answers"]) if is_target else text


def _entity(text: str, row: Mapping, labels: Sequence[str] | None, is_target: bool) -> dict[str, Any] | str:
    """ReCoRD: the right entities and which query they are of, which may have several rows; or the text given."""
    if not is_target:
        return text.strip()
    return {"answers": list(row["answers"]), "group": f"{row['idx/passage']}-{row['idx/query']}"}


def _grouped_label(text: str, row: Mapping, labels: Sequence[str] | None, is_target: bool) -> dict[str, str | None]:
    """MultiRC: whether one answer is right, and which question it is of."""
    value = _label(text, row, labels, is_target)
    return {"value": value, "group": f"{row['idx/paragraph']}-{row['idx/question']}"}


def _referent(text: str, row: Mapping, labels: Sequence[str] | None, is_target: bool) -> bool | None:
    """WSC: whether the pronoun refers to the row's target; for a prediction, whether its words are of that target.

    They are if, but for case and determiners, one's words are among the other's; but "Bob" is not "Bob's hat": an apostrophe
    must be in both or in neither. None if the text has no word but determiners. The rule of T5 (wsc_simple).
    """
    if is_target:
        return bool(row["label"])
    given, right = _telling_words(text), _telling_words(row["targets"])
    if not any(given):
        return None
    return ("'" in text) == ("'" in row["targets"]) and (given <= right or right <= given)


def _telling_words(text: str) -> set[str]:
    """The words parted by single spaces; without one, the empty word, which no text's words include."""
    return {word for word in text.strip().lower().split(" ") if word not in _DETERMINERS} or {""}


def _translated(words: Mapping[str, str]) -> Postprocessor:
    """Labels where a prediction may be in another task's words, which `words` translates."""

    def postprocess(text: str, row: Mapping, labels: Sequence[str] | None, is_target: bool) -> str | None:
        return text if is_target else label(words.get(text.strip(), text), labels)

    return postprocess


def _after_sentinel(post: Postprocessor) -> Postprocessor:
    """The same of targets, predictions and labels without the sentinel; a prediction may lack it."""

    def postprocess(text: str, row: Mapping, labels: Sequence[str] | None, is_target: bool) -> Any:
        return post(bare(text), row, labels and tuple(map(bare, labels)), is_target)

    return postprocess


POSTPROCESSORS: dict[str, Postprocessor] = {
    "label": _label,
    "number": _number,
    "answers": _answers,
    "entity": _entity,
    "grouped_label": _grouped_label,
    "referent": _referent,
    "from_qqp": _translated(_EQUIVALENT),
    "from_mrpc": _translated(_DUPLICATE),
    "label_after_sentinel": _after_sentinel(_label),
    "grouped_label_after_sentinel": _after_sentinel(_grouped_label),
}
"""`from_qqp` scores MRPC, and `from_mrpc` QQP, with a prompt of the other task."""
