"""corpora.model_card: what is shipped of a size's runs, and what its facts and card say of them. The runs are real and tiny."""

import json
import re
import shutil
import sys
from pathlib import Path

import model_folder
import pytest

from corpora import model_card, model_card_text
from ptune_cli import cli, shipped
from ptune_cli.model_facts import facts

ROWS = model_folder.config().vocab_size
SIZES = f"--config.vocab_size {ROWS} --config.emb_dim 8 --config.num_heads 2 --config.head_dim 4 --config.mlp_dim 8".split()
SIZES += "--config.num_encoder_layers 1 --config.num_decoder_layers 1".split()
SOURCE = {"name": "ponds", "licence": "public domain", "train": {"documents": 40, "words": 360, "bytes": 2_000_000}}


def pretrain(runs: Path, name: str, *flags: str) -> None:
    text = str(runs / "text" / "train.txt")
    often = ["--every.evaluate", "2", "--every.save", "2", "--every.log", "1", "--every.before_training"]
    common = ["--text", text, "--validation_text", text, "--batch_size", "4", "--validation_batches", "2", *often]
    arguments = ["pretrain", *common, "--output", str(runs / name), *flags]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["/somewhere/bin/ptune", *arguments])  # what the run writes down as its command
        assert cli.main(arguments) == 0


def copied(runs: Path, name: str, copy: str, steps: int) -> None:
    """A run under another name, as if it had ended after `steps`: compiling one more would take longer than all these tests."""
    shutil.copytree(runs / name, runs / copy)
    size, wanted = name.partition("_")[0], copy.partition("_")[0]
    for file in ("config.gin", "run.json"):
        text = (runs / name / file).read_text().replace(f"/{name}", f"/{copy}").replace(f"/{size}_", f"/{wanted}_")
        (runs / copy / file).write_text(re.sub("Pretrain.steps = .*", f"Pretrain.steps = {steps}", text))
    rows = (runs / name / "metrics.jsonl").read_text().splitlines(keepends=True)
    (runs / copy / "metrics.jsonl").write_text("".join(row for row in rows if json.loads(row)["step"] <= steps))


@pytest.fixture(scope="module")
def runs(cache, tmp_path_factory) -> Path:
    """Two sizes, `pea` of three stages and `bean` of two, and the text they were trained on."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "text").mkdir()
    (folder / "text" / "train.txt").write_text("".join(f"a bird that swims in pond {i} and dabbles there\n" for i in range(40)))
    (folder / "text" / "sources.json").write_text(json.dumps([SOURCE]))
    vocabulary = ["--vocabulary", str(model_folder.VOCABULARY)]
    pretrain(folder, "pea_span", "--steps", "6", "--config", "T5Config", *SIZES, *vocabulary, "--objective.length", "16")
    initial = str(folder / "pea_span" / "model")
    pretrain(folder, "pea_lm900", "--steps", "4", "--initial", initial, "--objective", "PrefixLM", "--seed", "1")
    copied(folder, "pea_lm900", "pea_lm90", 2)
    copied(folder, "pea_span", "bean_span", 6)
    copied(folder, "pea_lm900", "bean_lm900", 4)
    return folder


@pytest.fixture
def assets(runs, tmp_path, monkeypatch) -> Path:
    """Both sizes, shipped."""
    monkeypatch.setattr(shipped, "ASSETS", tmp_path / "assets")
    for size, stages in (("pea", ("span", "lm90", "lm900")), ("bean", ("span", "lm900"))):
        model_card.main([size, "--stages", *stages, "--runs", str(runs), "--assets", str(tmp_path / "assets")])
    return tmp_path / "assets"


def test_the_last_stage_bears_the_sizes_name_and_the_others_point_to_its_card(assets, runs):
    assert shipped.names() == ["bean", "bean_span", "pea", "pea_lm90", "pea_span"]
    for name in shipped.names():
        run = runs / (name if "_" in name else f"{name}_lm900")
        for file in model_card.FILES:
            assert (assets / name / file).read_bytes() == (run / "model" / file).read_bytes()
    assert {f.name for f in (assets / "pea_span").iterdir()} == {*model_card.FILES, "training.json", "README.md"}
    assert "(../pea/README.md)" in (assets / "pea_span" / "README.md").read_text()
    assert (assets / "pea" / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_the_facts_are_those_of_the_runs(assets, runs):
    span, adapted = shipped.training(assets / "pea")["phases"]
    assert [span] == shipped.training(assets / "pea_span")["phases"]
    assert (span["objective"], span["initial"], span["steps"], span["seed"]) == ("SpanCorruption", None, 6, 0)
    assert (adapted["objective"], adapted["initial"], adapted["steps"], adapted["seed"]) == ("PrefixLM", "pea_span", 4, 1)
    assert (span["examples"], span["held_out_examples"]) == (24, 8)
    assert 24 * 16 < span["tokens"] < 24 * 40  # 16 a row to the encoder, fewer to the decoder
    rows = [json.loads(line) for line in (runs / "pea_lm900" / "metrics.jsonl").read_text().splitlines()]
    losses = [row["validation/loss"] for row in rows if "validation/loss" in row]
    assert [(point["step"], point["loss"]) for point in adapted["held_out"]] == list(zip((0, 2, 4), losses, strict=True))
    assert span["command"].startswith("ptune pretrain --text ") and f"--output {runs / 'pea_span'} --steps 6" in span["command"]
    assert shipped.training(assets / "pea")["text"] == [
        {"name": "ponds", "licence": "public domain", "documents": 40, "words": 360, "bytes": 2_000_000}
    ]


def test_every_card_compares_all_sizes_whichever_shipped_last(assets):
    for size in ("pea", "bean"):
        card = (assets / size / "README.md").read_text()
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in card.splitlines() if line.startswith("|")]
        header = next(row for row in rows if row[0] == "size")
        assert header[3:] == ["span corruption, step 0", "span corruption, step 6", *(f"prefix LM, step {n}" for n in (0, 2, 4))]
        found = {row[0].strip("`"): row for row in rows if len(row) == len(header)}
        for name in ("pea", "bean"):
            model = facts(name)
            losses = {"span": model["training"]["phases"][0]["held_out"], "lm": model["training"]["phases"][1]["held_out"]}
            assert found[name][1] == f"{model['parameters_besides_embeddings']:,}"
            assert found[name][4] == f"{losses['span'][-1]['loss']:.3f}" and found[name][7] == f"{losses['lm'][-1]['loss']:.3f}"
        assert found["bean"][6] == "" != found["pea"][6]


def test_a_card_tells_of_its_own_stages_commands_and_text(assets):
    card = (assets / "pea" / "README.md").read_text()
    assert "| `pea_lm90` | `pea_span` | prefix LM | 2 | 8 |" in card and "| `bean" not in card.partition("## Sizes")[0]
    for name in ("pea", "pea_lm90", "pea_span"):
        assert facts(name)["training"]["phases"][-1]["command"] in card
    assert card.count("ptune pretrain ") == 3 and "| ponds | public domain | 40 | 360 | 2.0 |" in card


def test_a_card_says_which_sizes_read_another_text_than_its_own(assets):
    assert "of the same\nexamples." in (assets / "pea" / "README.md").read_text()
    file = assets / "bean" / "training.json"
    older = json.loads(file.read_text())
    older["text"][0]["documents"] += 1
    file.write_text(json.dumps(older))
    cards = model_card_text.cards(assets)
    assert "examples, except for `bean`, which read\nanother cut" in cards["pea"]
    assert "examples, except for `pea`, which read\nanother cut" in cards["bean"]


def test_shipping_again_leaves_nothing_of_the_older_model(assets, runs):
    (assets / "pea" / "old.bin").write_text("")
    model_card.main(["pea", "--stages", "span", "lm900", "--runs", str(runs), "--assets", str(assets)])
    assert not (assets / "pea" / "old.bin").exists()


@pytest.mark.parametrize(
    ("stages", "told"), [(["span"], "without lm900"), (["span", "lm450", "lm900"], "no model yet of pea's lm450")]
)
def test_what_cannot_ship_is_told_before_anything_is_changed(assets, runs, stages, told, capsys):
    before = {file: file.read_bytes() for file in assets.rglob("*") if file.is_file()}
    with pytest.raises(SystemExit) as ended:
        model_card.main(["pea", "--stages", *stages, "--runs", str(runs), "--assets", str(assets)])
    assert ended.value.code == 2 and told in capsys.readouterr().err
    assert before == {file: file.read_bytes() for file in assets.rglob("*") if file.is_file()}


def test_stages_that_no_longer_ship_are_removed(assets, runs):
    model_card.main(["pea", "--stages", "lm900", "--runs", str(runs), "--assets", str(assets)])
    assert shipped.names() == ["bean", "bean_span", "pea"]
