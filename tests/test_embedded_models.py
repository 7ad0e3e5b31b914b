"""The models that ship: which they are, that what is written beside them is of them, and that more training lowers the loss."""

from itertools import pairwise
from pathlib import Path

import pytest

from ptune_cli import shipped
from ptune_cli.model_facts import facts

SIZES = ("nano", "micro", "tiny")
STAGES = {"span": [3200], "lm90": [3200, 90], "lm450": [3200, 450]}  # the steps of each phase: span corruption, LM adaptation
FAMILY = {
    **{f"{size}_{stage}": steps for size in ("nano", "micro") for stage, steps in STAGES.items()},
    **{size: [3200, 900] for size in SIZES},
}


def phases(name: str) -> list[dict]:
    training = shipped.training(shipped.locate(name))
    assert training is not None
    return training["phases"]


def body(name: str) -> int:
    """Parameters besides embeddings."""
    return facts(name)["parameters_besides_embeddings"]


def test_the_family_ships():
    assert shipped.names() == sorted(FAMILY)


@pytest.mark.parametrize("name", FAMILY)
def test_what_is_written_of_a_models_training_is_of_its_stage(name):
    size, _, stage = name.partition("_")
    expected = [("SpanCorruption", f"{size}_span", FAMILY[name][0])]
    expected += [("PrefixLM", f"{size}_{stage or 'lm900'}", steps) for steps in FAMILY[name][1:]]
    assert [(phase["objective"], phase["run"], phase["steps"]) for phase in phases(name)] == expected
    assert [phase["held_out"][-1]["step"] for phase in phases(name)] == FAMILY[name]


@pytest.mark.parametrize("size", SIZES)
def test_the_stages_of_a_size_are_of_one_architecture_and_differ_in_their_weights(size):
    stages = [facts(name) for name in FAMILY if shipped.size_of(name) == size]
    for key in ("parameters", "d_model", "num_heads", "encoder_layers", "decoder_layers"):
        assert len({stage[key] for stage in stages}) == 1
    assert len({stage["fingerprint"] for stage in stages}) == len(stages)


def test_all_models_have_one_vocabulary():
    assert len({facts(name)["vocabulary"]["sha256"] for name in FAMILY}) == 1


@pytest.mark.parametrize("size", SIZES)
def test_a_card_has_the_counts_and_losses_of_its_size_and_names_every_stage(size):
    card, found = shipped.card(size), facts(size)
    assert f"{found['parameters_besides_embeddings']:,}" in card and f"{found['parameters']:,}" in card
    told = card.partition("## Stages")[2].partition("## Sizes")[0]
    for name in (name for name in FAMILY if shipped.size_of(name) == size):
        last = phases(name)[-1]
        (row,) = [line for line in told.splitlines() if line.startswith(f"| `{name}` |")]
        assert f"| {last['held_out'][0]['loss']:.3f} | {last['held_out'][-1]['loss']:.3f} |" in row
        assert last["command"] in card
    assert (Path(shipped.locate(size)) / "loss.png").is_file()


@pytest.mark.parametrize("size", SIZES)
def test_the_held_out_loss_falls_with_the_steps_of_adaptation(size):
    """At step 0 all stages start from one model, so they start from one loss."""
    adapted = [phases(name)[-1] for name in FAMILY if shipped.size_of(name) == size and len(FAMILY[name]) == 2]
    assert len({phase["held_out"][0]["loss"] for phase in adapted}) == 1
    ends = {0: adapted[0]["held_out"][0]["loss"], **{phase["steps"]: phase["held_out"][-1]["loss"] for phase in adapted}}
    losses = [ends[steps] for steps in sorted(ends)]
    assert all(more < fewer for fewer, more in pairwise(losses))


@pytest.mark.parametrize("phase", [0, 1], ids=["span corruption", "LM adaptation"])
def test_the_held_out_loss_falls_with_the_size(phase):
    losses = [phases(name)[phase]["held_out"][-1]["loss"] for name in sorted(SIZES, key=body)]
    assert all(larger < smaller for smaller, larger in pairwise(losses))
