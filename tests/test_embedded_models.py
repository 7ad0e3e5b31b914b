"""The models that ship: which they are, that what is written beside them is of them, and that more training lowers the loss."""

from itertools import pairwise
from pathlib import Path

import pytest

from ptune_cli import shipped
from ptune_cli.commands.models import facts

STAGES = {"span": [2000], "lm60": [2000, 60], "lm300": [2000, 300], "lm600": [2000, 600]}  # the steps of each phase
FAMILY = {
    **{f"{size}_{stage}": STAGES[stage] for size in ("nano", "micro") for stage in ("span", "lm60", "lm300")},
    "tiny_span": STAGES["span"],
    **{size: STAGES["lm600"] for size in ("nano", "micro", "tiny")},
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
def test_what_is_written_of_a_models_training_is_of_its_weights(name):
    size, _, stage = name.partition("_")
    found = facts(name)
    assert [phase["steps"] for phase in phases(name)] == FAMILY[name]
    assert [phase["run"] for phase in phases(name)] == [f"{size}_span", f"{size}_{stage or 'lm600'}"][: len(FAMILY[name])]
    assert [phase["objective"] for phase in phases(name)] == ["SpanCorruption", "PrefixLM"][: len(FAMILY[name])]
    sizes = facts(size)
    for key in ("parameters", "d_model", "encoder_layers", "decoder_layers", "vocabulary"):
        assert found[key] == sizes[key]
    assert len({facts(other)["fingerprint"] for other in FAMILY if shipped.size_of(other) == size}) == sum(
        shipped.size_of(other) == size for other in FAMILY
    )


def test_all_sizes_have_one_vocabulary_and_one_text():
    assert len({facts(name)["vocabulary"]["sha256"] for name in FAMILY}) == 1
    trained = [shipped.training(shipped.locate(name)) for name in FAMILY]
    assert all(each is not None and each["text"] == trained[0]["text"] for each in trained if trained[0])


@pytest.mark.parametrize("size", ("nano", "micro", "tiny"))
def test_a_card_has_the_counts_and_losses_of_its_size_and_names_every_stage(size):
    card, found = shipped.card(size), facts(size)
    assert f"{found['parameters_besides_embeddings']:,}" in card and f"{found['parameters']:,}" in card
    for name in (name for name in FAMILY if shipped.size_of(name) == size):
        last = phases(name)[-1]
        (row,) = [
            line
            for line in card.splitlines()
            if line.startswith(f"| `{name}` |") and last["objective"][:4].lower() in line.lower()
        ]
        assert f"| {last['held_out'][0]['loss']:.3f} | {last['held_out'][-1]['loss']:.3f} |" in row
        assert last["command"] in card
    assert (Path(shipped.locate(size)) / "loss.png").is_file()


@pytest.mark.parametrize("size", ("nano", "micro", "tiny"))
def test_the_held_out_loss_falls_with_the_steps_of_adaptation(size):
    """At step 0 all stages start from one model, so they start from one loss."""
    adapted = [phases(name)[-1] for name in FAMILY if shipped.size_of(name) == size and len(FAMILY[name]) == 2]
    assert len({phase["held_out"][0]["loss"] for phase in adapted}) == 1
    ends = {0: adapted[0]["held_out"][0]["loss"], **{phase["steps"]: phase["held_out"][-1]["loss"] for phase in adapted}}
    losses = [ends[steps] for steps in sorted(ends)]
    assert all(more < fewer for fewer, more in pairwise(losses))


@pytest.mark.parametrize("stage", ("", "_span"))
def test_the_held_out_loss_falls_with_the_size(stage):
    names = sorted(("nano", "micro", "tiny"), key=body)
    losses = [phases(f"{name}{stage}")[-1]["held_out"][-1]["loss"] for name in names]
    assert all(larger < smaller for smaller, larger in pairwise(losses))
