"""What a model's text says, by kind of task."""

import json

import pytest

from tasks.postprocessors import POSTPROCESSORS, invalid, label

YES_NO = ("False", "True")


def answer(kind, text, row=None, labels=None, is_target=False):
    found = POSTPROCESSORS[kind](text, row or {}, labels, is_target)
    assert json.loads(json.dumps(found)) == found
    return found


def test_an_answer_is_a_label_or_invalid():
    labels = ("animal", "plant")
    assert label(" animal\n", labels) == answer("label", " animal\n", labels=labels) == "animal"
    for text in ("Animal", "animals", "animal plant", "", "<unk>"):
        assert label(text, labels) is None
        assert invalid(answer("label", text, labels=labels))
    assert label(" free text ", None) == answer("label", " free text ") == "free text"


def test_a_hidden_target_equals_no_prediction():
    row = {"idx/paragraph": 0, "idx/question": 0}
    assert answer("label", "<unk>", labels=YES_NO, is_target=True) == "<unk>"
    assert answer("label", "<unk>", labels=YES_NO) is None
    assert answer("grouped_label", "<unk>", row, YES_NO, True) == {"value": "<unk>", "group": "0-0"}
    assert answer("grouped_label", "<unk>", row, YES_NO) == {"value": None, "group": "0-0"}


@pytest.mark.parametrize(("text", "number"), [("3.8", 3.8), (" 5\n", 5.0), ("-1", -1.0), ("2e-1", 0.2)])
def test_a_number_is_read_from_targets_and_predictions(text, number):
    assert answer("number", text) == answer("number", text, is_target=True) == number


@pytest.mark.parametrize("text", ["", "three", "3.8.", "3,8", "nan", "inf", "-Infinity", "1e999"])
def test_what_is_no_finite_number_is_invalid(text):
    assert answer("number", text) is None


def test_a_question_has_all_its_answers_and_a_prediction_its_text():
    row = {"targets": "Rome", "answers": ["Rome", "the city of Rome"]}
    assert answer("answers", "Rome", row, is_target=True) == ["Rome", "the city of Rome"]
    assert answer("answers", "rome ", row) == "rome "
    assert not invalid(answer("answers", "", row))


def test_an_entity_comes_with_its_query():
    row = {"answers": ["Kabul", "city of Kabul"], "idx/passage": 3, "idx/query": 14}
    target = answer("entity", "Kabul", row, is_target=True)
    assert target == {"answers": ["Kabul", "city of Kabul"], "group": "3-14"}
    assert answer("entity", " Kabul\n", row) == "Kabul"
    assert not invalid(target)


def test_a_judged_answer_comes_with_its_question():
    row = {"idx/paragraph": 2, "idx/question": 7, "idx/answer": 1}
    assert answer("grouped_label", "True", row, YES_NO, is_target=True) == {"value": "True", "group": "2-7"}
    assert answer("grouped_label", " False ", row, YES_NO) == {"value": "False", "group": "2-7"}
    assert invalid(answer("grouped_label", "true", row, YES_NO))
    assert not invalid(answer("grouped_label", "False", row, YES_NO))


@pytest.mark.parametrize(
    ("text", "referent", "same"),
    [
        ("Mark", "Mark", True),
        ("mark\n", "Mark", True),
        ("The table", "a TABLE", True),  # determiners and case do not count
        ("my brown dog", "The dog", True),  # {dog} is among {brown, dog}
        ("dog", "the brown dog", True),
        ("dog brown", "brown dog", True),  # sets of words have no order
        ("brown cat", "brown dog", False),  # neither holds the other
        ("Pete", "Mark", False),
        ("dogs", "dog", False),
        ("Bob", "Bob's hat", False),  # an apostrophe in one only
        ("Bob hat", "Bob's hat", False),
        ("hat", "Bob's hat", False),
        ("Bob's", "Bob's hat", True),
        ("few dogs", "many dogs", True),
        ("his", "his", None),
        ("the", "Mark", None),
        ("", "Mark", None),
        ("  \n", "Mark", None),
        ("Mark", "the", False),  # a referent of determiners alone is no one's
    ],
)
def test_a_predicted_referent_is_the_targets_if_its_telling_words_are(text, referent, same):
    for is_right in (0, 1):  # the row's own label has no part in it
        assert answer("referent", text, {"targets": referent, "label": is_right}) is same


def test_the_target_of_a_referent_is_whether_it_is_one():
    assert answer("referent", "Mark", {"targets": "Mark", "label": 1}, is_target=True) is True
    assert answer("referent", "Mark", {"targets": "Mark", "label": 0}, is_target=True) is False


@pytest.mark.parametrize(
    ("kind", "labels", "words"),
    [
        ("from_qqp", ("not_equivalent", "equivalent"), ("not_duplicate", "duplicate")),
        ("from_mrpc", ("not_duplicate", "duplicate"), ("not_equivalent", "equivalent")),
    ],
)
def test_a_prompt_of_another_task_may_use_its_words_or_this_tasks(kind, labels, words):
    for right, word in zip(labels, words, strict=True):
        assert answer(kind, right, labels=labels, is_target=True) == right
        assert answer(kind, f" {word}\n", labels=labels) == answer(kind, right, labels=labels) == right
        assert answer(kind, f"{word} {word}", labels=labels) is None


def test_only_none_and_a_value_of_none_are_invalid():
    assert invalid(None)
    assert invalid({"value": None, "group": "0-0"})
    for valid in (False, 0.0, "", [], {"answers": [], "group": "0-0"}, {"value": "False"}):
        assert not invalid(valid)
