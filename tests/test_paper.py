"""The paper's numbers: each has a source, none is ours; what can be computed is."""

import json
import subprocess
import sys

import pytest

from ptune_cli.config import settings
from ptune_cli.errors import UserError
from ptune_cli.reports import paper
from ptune_cli.reports.parameters import LENGTHS, SIZES, config_of, parameters
from ptune_cli.t5.config import parameter_count

TRAIN = "ptune_cli.commands.train.Train"


def numbers(value) -> list[float]:
    """All numbers in what JSON holds."""
    if isinstance(value, dict):
        return [number for item in value.values() for number in numbers(item)]
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


def test_every_number_stands_in_a_table_that_has_a_source():
    content = json.loads(paper.FILE.read_text())
    assert not numbers({name: value for name, value in content.items() if name != "tables"})
    assert content["origin"].keys() == paper.ORIGINS.keys()
    for table in content["tables"]:
        assert numbers(table["rows"]) and table["source"] and table["says"]
        assert table["origin"] in content["origin"]


def test_only_what_was_read_in_the_repository_is_said_to_be_checked():
    assert {name for name, table in paper.tables().items() if table.checked} == {"released_prompts"}
    assert paper.table("ensembles").citation == "Table 3 (from memory, not checked)"
    assert paper.table("parameters").citation == "Table 4 (derived, not checked)"
    assert "not checked" not in paper.table("released_prompts").citation


def test_rows_are_found_by_their_values():
    [row] = paper.table("domain_shift").where(dataset="TextbookQA", method="prompt tuning")
    assert (row["value"], row["std"]) == (66.8, 2.9)
    [row] = paper.table("ensembles").where(task="SuperGLUE")
    assert (row["average"], row["best"], row["ensemble"]) == (90.5, 91.0, 91.3)
    assert paper.table("released_prompts").where(task="SST-2")[0]["value"] == 95.07


def test_no_row_is_there_twice():
    for table in paper.tables().values():
        assert len({json.dumps(row) for row in table.rows}) == len(table.rows)


def test_an_unknown_table_is_named_with_those_there_are():
    with pytest.raises(KeyError, match="no table 'table 1' .*domain_shift"):
        paper.table("table 1")


def test_the_recipe_in_gin_is_the_papers_setting():
    recipe = settings.of_file("runs/lester2021.gin", TRAIN)
    said = {row["setting"]: row["values"] for row in paper.table("setting").rows}
    assert [recipe["prompt.length"]] == said["prompt length"]
    assert [recipe["steps"]] == said["steps"]
    assert [recipe["optimizer.learning_rate"]] == said["learning rate, constant"]
    assert [recipe["batch_size"]] == said["batch size"]
    assert [recipe["optimizer.weight_decay"]] == said["weight decay"]
    assert [recipe["optimizer.decay_rate"]] == said["decay exponent of the second moment"]
    assert [recipe["optimizer.parameter_scale"]] == said["parameter scaling"]
    assert [len(recipe["seeds"])] == said["runs"]
    assert list(SIZES) == said["model sizes"]


# (parameters of the model, rows of the prompt, parameters of the prompt, percent that is trained)
FACTS = {
    "small": (76_961_152, 100, 51_200, "0.06648"),
    "base": (247_577_856, 100, 76_800, "0.03101"),
    "large": (783_150_080, 100, 102_400, "0.01307"),
    "xl": (2_849_757_184, 100, 204_800, "0.00719"),
    "xxl": (11_135_332_352, 100, 409_600, "0.00368"),
}


@pytest.mark.parametrize("size", FACTS)
def test_the_sizes_in_gin_have_the_papers_counts(size):
    model, length, prompt, percent = FACTS[size]
    [row] = parameters([size], [length])
    assert (row.model, row.prompt, row.total) == (model, prompt, model + prompt)
    assert f"{row.percent:.5f}" == percent
    assert parameter_count(config_of(size)) == model


def test_the_computed_table_has_every_length_and_size_and_agrees_with_all_that_is_known_of_table_4():
    ours = {(row.size, row.length): row for row in parameters()}
    assert list(ours) == [(size, length) for size in SIZES for length in LENGTHS]
    assert (ours["small", 100].total, ours["xxl", 100].total) == (77_012_352, 11_135_741_952)
    assert (ours["xxl", 1].prompt, ours["xxl", 150].prompt, ours["xxl", 5].prompt) == (4_096, 614_400, 20_480)
    for known in paper.table("parameters").rows:
        row = ours[known["size"], known["length"]]
        assert (row.prompt, row.total) == (known["prompt"], known["total"])
        assert "percent" not in known or f"{row.percent:.5f}" == f"{known['percent']:.5f}"


def test_a_size_that_there_is_not_is_named():
    with pytest.raises(UserError, match="no gin file 'models/t5_1_1_huge.gin'"):
        parameters(["huge"])


def test_neither_needs_jax():
    script = """
import sys
sys.modules["jax"] = sys.modules["numpy"] = None
from ptune_cli.reports import paper, parameters
print(len(paper.tables()), len(parameters.parameters()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(len(paper.tables())), "30"]
