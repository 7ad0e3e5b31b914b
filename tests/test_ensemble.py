"""`ptune ensemble`: what several prompts say together, in one pass, is what they say apart, put together."""

import json
import shutil

import pytest

from ptune_cli.evaluation.vote import majority_vote, mean_log_likelihood

TASK = "kinds:kinds"
RANK = ("--protocol", "rank", "--split", "test")


@pytest.mark.parametrize(
    ("votes", "winner"),
    [
        (["dog", "plant", "plant"], "plant"),
        (["dog", "plant"], "dog"),  # of equals, the earlier prompt's
        (["dog", None, None], "dog"),  # an invalid answer is no vote
        ([None, None], None),
        ([["a", "b"], ["a"], ["a"]], ["a"]),
        ([{"value": None, "group": 1}, {"group": 1, "value": True}], {"value": True, "group": 1}),
    ],
)
def test_the_most_common_valid_answer_wins(votes, winner):
    assert majority_vote([[vote] for vote in votes]) == [winner]


def test_the_label_that_is_likeliest_on_average_wins():
    first, second = {"dog": -1.0, "plant": -1.1}, {"dog": -3.0, "plant": -0.5}
    assert mean_log_likelihood([[first], [first], [second]]) == ["plant"]
    assert mean_log_likelihood([[first, second]]) == ["dog", "plant"]


@pytest.fixture
def run(bank, tmp_path):
    """A run of four prompts that may be written to."""
    return shutil.copytree(bank, tmp_path / "run")


def ensemble(ptune, *arguments) -> dict:
    code, out, errors = ptune("ensemble", *arguments, "--json")
    assert code == 0, errors
    return json.loads(out)["tasks"][TASK]


@pytest.mark.parametrize("flags", [RANK, ("--split", "test")])
def test_equal_prompts_are_together_what_each_is(flags, bank, ptune, tmp_path):
    one = next((bank / "prompts").iterdir())
    copies = [shutil.copytree(one, tmp_path / f"copy-{i}") for i in range(5)]
    rows = ensemble(ptune, *copies, *flags)
    assert not list(tmp_path.rglob("ensembles"))  # they are of no run
    single = json.loads(ptune("eval", one, *flags, "--json")[1])["tasks"]["kinds:kinds"][one.name]
    assert len(rows) == (9 if flags == RANK else 8)
    assert all(row == single for row in rows.values())


def test_four_prompts_in_one_pass_say_what_they_say_apart(run, ptune, tmp_path):
    """Two lengths and two seeds, example by example; and the vote is that of the separate answers."""
    rows, said = ensemble(ptune, run, *RANK), []
    for place in sorted((run / "prompts").iterdir()):
        code, out, _ = ptune("eval", place, *RANK, "--json", "--output", tmp_path / "said.jsonl")
        assert code == 0 and json.loads(out)["tasks"]["kinds:kinds"][place.name] == rows[place.name]
        said.append([json.loads(line) for line in (tmp_path / "said.jsonl").read_text().splitlines()])
    targets = [line["target"] for line in said[0]]
    voted = majority_vote([[line["answer"] for line in lines] for lines in said])
    likeliest = mean_log_likelihood([[line["scores"] for line in lines] for lines in said])
    for name, answers in (("majority vote", voted), ("mean log-likelihood", likeliest)):
        right = sum(answer == target for answer, target in zip(answers, targets, strict=True))
        assert rows[name]["accuracy"] == pytest.approx(100 * right / len(targets))
    accuracies = [rows[place.name]["accuracy"] for place in (run / "prompts").iterdir()]
    assert rows["average"]["accuracy"] == pytest.approx(sum(accuracies) / 4) and rows["best"]["accuracy"] == max(accuracies)


def test_one_prompt_or_a_benchmark_is_refused(bank, ptune):
    one = next((bank / "prompts").iterdir())
    code, _, errors = ptune("ensemble", one)
    assert code == 2 and f"an ensemble needs several prompts, not {one.name} alone" in errors
    code, _, errors = ptune("ensemble", bank, "--task", "super_glue")
    assert code == 2 and "super_glue is a benchmark" in errors


def test_people_get_a_table_and_where_it_is_kept(run, ptune):
    code, out, _ = ptune("ensemble", run, *RANK)
    assert code == 0 and all(name in out for name in ("kinds.kinds-p3-0", "average", "best", "majority vote", "mean log"))
    [file] = (run / "ensembles").iterdir()
    assert out.splitlines()[-1] == str(file)


def test_the_scores_are_kept_in_the_run_and_found_by_a_report(run, ptune, tmp_path):
    rows = ensemble(ptune, run, *RANK)
    [file] = (run / "ensembles").iterdir()
    kept = json.loads(file.read_text())
    assert file.name.startswith("kinds.kinds-test-rank-")
    assert {name: row for name, row in rows.items() if name not in kept["members"]} == {
        name: kept[name] for name in list(rows)[4:]
    }
    assert kept["members"] == {name: rows[name] for name in list(rows)[:4]} and kept["trained_on"] == [TASK]
    code, out, errors = ptune("report", run, "--output", tmp_path / "report", "--json")
    [found] = json.loads(out)["ensembles"]
    assert code == 0 and found["scores"] == {name: {"accuracy": rows[name]["accuracy"]} for name in list(rows)[4:]}, errors
    assert list(found["members"]) == list(rows)[:4] and (found["task"], found["n"]) == (TASK, 8)


def test_the_same_prompts_have_one_file_and_others_another(run, ptune):
    def files() -> set:
        return {file.name: file.read_bytes() for file in (run / "ensembles").iterdir()}.items()

    prompts = sorted((run / "prompts").iterdir())
    ensemble(ptune, run, *RANK)
    first = files()
    ensemble(ptune, *prompts, *RANK)
    assert files() == first
    ensemble(ptune, *prompts[:2], *RANK)
    ensemble(ptune, run, "--split", "validation", "--protocol", "rank")
    assert len(files()) == 3 and first < files()
