"""Metrics are what their definitions say, worked by hand or by scikit-learn and SciPy."""

import random

import pytest
from scipy import stats
from sklearn import metrics as sklearn_metrics

from tasks.metrics import METRICS

YES_NO = ("no", "yes")


def score(metric, targets, predictions, labels=None):
    return METRICS[metric](list(targets), list(predictions), labels)


@pytest.fixture(params=range(5))
def draws(request):
    """60 targets and predictions of three classes."""
    generator = random.Random(request.param)
    return [[generator.choice("abc") for _ in range(60)] for _ in range(2)]


@pytest.mark.parametrize("metric", METRICS.values())
def test_no_target_or_another_number_of_predictions_is_refused(metric):
    for targets, predictions in (([], []), (["a", "b"], ["a"])):
        with pytest.raises(ValueError, match=f"{len(predictions)} predictions for {len(targets)} targets"):
            metric(targets, predictions)


def test_accuracy_is_the_percent_of_equal_answers_and_an_invalid_one_is_wrong():
    assert score("accuracy", "abac", ["a", "a", None, "c"]) == {"accuracy": 50.0}
    assert score("accuracy", ["a"], ["a "]) == {"accuracy": 0.0}


def test_referents_are_right_where_the_truth_values_agree():
    # True-True and False-False agree; True-False and False-None do not.
    assert score("referent", [True, False, True, False], [True, False, False, None]) == {"accuracy": 50.0}


def test_f1_is_of_the_second_label():
    # One "yes" found and right, one missed, one found and wrong: 2 / (2 + 1 + 1).
    targets, predictions = ["yes", "yes", "no", "no"], ["yes", "no", "yes", "no"]
    assert score("f1", targets, predictions, YES_NO) == {"f1": 50.0}
    # As the labels of the other order: one "no" right, one missed, one wrong.
    assert score("f1", ["yes", "no", "no"], ["yes", "yes", "no"], YES_NO) == {"f1": pytest.approx(200 / 3)}
    assert score("f1", ["yes", "no", "no"], ["yes", "no", "no"], ("yes", "no")) == {"f1": 100.0}


def test_an_invalid_answer_is_the_wrong_one_to_f1():
    # Of a "yes" it is a miss, of a "no" a false "yes": 2 / (2 + 1 + 1).
    assert score("f1", ["yes", "yes", "no"], ["yes", None, None], YES_NO) == {"f1": 50.0}
    assert score("f1", ["no", "no"], ["no", "no"], YES_NO) == {"f1": 0.0}


def test_f1_agrees_with_scikit_learn(draws):
    targets, predictions = ([YES_NO[letter == "a"] for letter in letters] for letters in draws)
    expected = 100 * sklearn_metrics.f1_score(targets, predictions, pos_label="yes")
    assert score("f1", targets, predictions, YES_NO)["f1"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("labels", [None, ("no",), ("no", "perhaps", "yes")])
def test_f1_without_two_labels_is_refused(labels):
    with pytest.raises(ValueError, match="f1 is of two labels"):
        score("f1", ["yes"], ["yes"], labels)


def test_f1_macro_is_the_mean_of_each_target_class():
    # a: 2 right, 1 false -> 4/5. b: 1 missed, none right -> 0. c: right -> 1.
    assert score("f1_macro", "aabc", "aaac")["f1_macro"] == pytest.approx(100 * (4 / 5 + 0 + 1) / 3)
    # An invalid answer misses its class and is none: a: 2/3, b: 2/3.
    assert score("f1_macro", "aabb", ["a", None, "b", None])["f1_macro"] == pytest.approx(100 * 2 / 3)
    # Nor does a class of no target count: a: 2/3, b: 2/3.
    assert score("f1_macro", "aabb", "azzb")["f1_macro"] == pytest.approx(100 * 2 / 3)


def test_f1_macro_over_labels_counts_those_that_no_target_has():
    assert score("f1_macro", "aab", "aab", ("a", "b", "c"))["f1_macro"] == pytest.approx(100 * 2 / 3)
    # c, predicted but never a target, is 0; a: 2/3; b: 1.
    assert score("f1_macro", "aab", "acb", ("a", "b", "c"))["f1_macro"] == pytest.approx(100 * (2 / 3 + 1) / 3)


def test_f1_macro_agrees_with_scikit_learn(draws):
    expected = 100 * sklearn_metrics.f1_score(*draws, average="macro")
    assert score("f1_macro", *draws)["f1_macro"] == pytest.approx(expected, rel=1e-12)


def test_matthews_is_the_correlation_of_two_classes():
    # TP 2, TN 1, FP 1, FN 0: (2*1 - 1*0) / sqrt(3 * 2 * 2 * 1) = 1 / sqrt(3).
    assert score("matthews", ["y", "y", "n", "n"], ["y", "y", "y", "n"])["matthews"] == pytest.approx(100 / 3**0.5)
    assert score("matthews", "yn", "ny") == {"matthews": pytest.approx(-100.0)}


def test_matthews_of_a_constant_is_0():
    assert score("matthews", "yynn", "yyyy") == {"matthews": 0.0}
    assert score("matthews", "yyyy", "yynn") == {"matthews": 0.0}


def test_an_invalid_answer_is_a_third_class_to_matthews():
    # 4 rows, 3 right. Targets y 2, n 2; found y 1, n 2, none 1:
    # (4*3 - (2*1 + 2*2)) / sqrt((16 - (1 + 4 + 1)) * (16 - (4 + 4))) = 6 / sqrt(80).
    assert score("matthews", "yynn", ["y", None, "n", "n"])["matthews"] == pytest.approx(100 * 6 / 80**0.5)


def test_correlations_of_numbers_and_of_their_ranks():
    # Deviations (-1, 0, 1) and (-2, -1, 3): 5 / sqrt(2 * 14). Both rise: the ranks are the same.
    found = score("pearson_spearman", [1.0, 2.0, 3.0], [0.0, 1.0, 5.0])
    assert found == {"pearson": pytest.approx(100 * 5 / 28**0.5), "spearman": pytest.approx(100.0)}
    # Ties share their mean rank: deviations of ranks (-1, 0, 1) and (-1, .5, .5): 1.5 / sqrt(2 * 1.5).
    found = score("pearson_spearman", [1.0, 2.0, 3.0], [0.0, 4.0, 4.0])
    assert found["spearman"] == pytest.approx(100 * 1.5 / 3**0.5)


def test_an_invalid_number_is_minus_one():
    targets = [0.0, 2.5, 5.0]
    assert score("pearson_spearman", targets, [None, 1.0, 2.0]) == score("pearson_spearman", targets, [-1.0, 1.0, 2.0])
    assert score("pearson_spearman", targets, [None, 1.0, 2.0]) != score("pearson_spearman", targets, [0.0, 1.0, 2.0])


@pytest.mark.parametrize(
    ("targets", "predictions"), [([1.0, 2.0], [3.0, 3.0]), ([1.0, 1.0], [2.0, 3.0]), ([1.0, 2.0], [None, None]), ([1.0], [1.0])]
)
def test_nothing_correlates_with_a_constant(targets, predictions):
    assert score("pearson_spearman", targets, predictions) == {"pearson": 0.0, "spearman": 0.0}


def test_correlations_agree_with_scipy_ties_included():
    generator = random.Random(0)
    targets, predictions = ([generator.randrange(26) / 5 for _ in range(50)] for _ in range(2))
    found = score("pearson_spearman", targets, predictions)
    assert found["pearson"] == pytest.approx(100 * stats.pearsonr(targets, predictions).statistic, rel=1e-9)
    assert found["spearman"] == pytest.approx(100 * stats.spearmanr(targets, predictions).statistic, rel=1e-9)


def test_matthews_agrees_with_its_definition_by_counts(draws):
    """Gorodkin 2004: (n * right - sum of target count * found count) / sqrt of the same for each side with itself."""
    n, right = len(draws[0]), sum(t == p for t, p in zip(*draws, strict=True))
    counts = [[letters.count(name) for name in "abc"] for letters in draws]
    products = [sum(a * b for a, b in zip(x, y, strict=True)) for x, y in (counts, counts[:1] * 2, counts[1:] * 2)]
    expected = 100 * (n * right - products[0]) / ((n * n - products[1]) * (n * n - products[2])) ** 0.5
    assert score("matthews", *draws)["matthews"] == pytest.approx(expected, rel=1e-9)


def judged(*answers):
    """("group", "value") pairs as answers of MultiRC."""
    return [{"value": value, "group": group} for group, value in answers]


def test_multirc_counts_answers_and_whole_questions():
    targets = judged(("p-1", "True"), ("p-2", "False"), ("p-1", "False"), ("p-2", "True"), ("q-1", "False"))
    predictions = judged(("p-1", "True"), ("p-2", "True"), ("p-1", "False"), ("p-2", "True"), ("q-1", "False"))
    # "True": 2 right, 1 false: 4 / 5. Questions p-1 and q-1 are all right, p-2 is not.
    assert score("multirc", targets, predictions) == {"f1a": 80.0, "em": pytest.approx(200 / 3)}


def test_an_invalid_judgement_is_wrong_either_way():
    targets = judged(("p-1", "True"), ("p-1", "True"), ("p-2", "False"))
    predictions = judged(("p-1", "True"), ("p-1", None), ("p-2", None))
    # 1 right, 1 missed, 1 false: 2 / 4. No question is all right.
    assert score("multirc", targets, predictions) == {"f1a": 50.0, "em": 0.0}


@pytest.mark.parametrize(
    ("answers", "prediction", "em", "f1"),
    [
        (["The Cat"], "cat", 100, 100),
        (["cat"], "a  CAT!\n", 100, 100),
        (["black cat"], "the cat", 0, 100 * 2 / 3),  # 1 shared of 2 and 1
        (["cat cat dog"], "cat dog dog", 0, 100 * 2 / 3),  # one cat and one dog shared, of 3 and 3
        (["dog", "black cat", "cat"], "black cat", 100, 100),
        (["dog", "a big black cat"], "black cat", 0, 100 * 4 / 5),  # the best: 2 shared of 3 and 2
        (["cats"], "cat", 0, 0),
        (["U.S.A."], "usa", 100, 100),  # punctuation goes, and joins
        (["theme"], "me", 0, 0),  # an article is a word
        (["cat"], "", 0, 0),
        (["the"], "", 100, 0),  # equal, both empty, but no shared word
        ([], "cat", 0, 0),
    ],
)
def test_a_question_is_scored_by_its_best_answer(answers, prediction, em, f1):
    assert score("squad", [answers], [prediction]) == {"em": em, "f1": pytest.approx(f1)}


def test_questions_are_averaged():
    # em (1 + 0) / 2; f1 (1 + 2/3) / 2.
    found = score("squad", [["cat"], ["black cat"]], ["cat", "cat"])
    assert found == {"em": 50.0, "f1": pytest.approx(100 * 5 / 6)}


def test_a_query_of_several_rows_counts_once_and_by_its_first():
    paris, rome = ({"answers": answers, "group": group} for answers, group in ((["Paris", "Lyon"], "0-1"), (["Rome"], "0-2")))
    # Not (3 + 0) / 4: query 0-1 is one. The second row's text is not looked at.
    assert score("record", [paris, paris, paris, rome], ["Lyon", "Oslo", "Paris", "Oslo"]) == {"em": 50.0, "f1": 50.0}
    assert score("record", [rome, paris, paris], ["Rome", "Oslo", "Paris"]) == {"em": 50.0, "f1": 50.0}
