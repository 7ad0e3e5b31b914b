"""`ptune models`: the list, a model's card, and what any other checkpoint folder is."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from ptune_cli import shipped
from ptune_cli.base_model import BaseModel
from ptune_cli.t5.config import T5Config, parameter_count

ORACLES = Path(__file__).parent / "oracles" / "t5x_checkpoints"


def test_the_list_has_every_model_that_ships_smallest_first(ptune):
    code, out, errors = ptune("models", "--json")
    assert (code, errors) == (0, "")
    found = json.loads(out)
    assert sorted(model["name"] for model in found) == shipped.names()
    sizes = [model["parameters_besides_embeddings"] for model in found]
    assert sizes == sorted(sizes)


def test_the_list_is_a_table_for_people(ptune):
    code, out, errors = ptune("models")
    assert (code, errors) == (0, "")
    facts = {model["name"]: model for model in json.loads(ptune("models", "--json")[1])}
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line.split() and line.split()[0] in facts}
    assert rows.keys() == facts.keys()
    for name, model in facts.items():
        assert f"{model['parameters'] / 1e6:.1f}M" in rows[name]
        assert rows[name][-1] == model["fingerprint"][:8]
        (vocabulary,) = [line for line in out.splitlines() if f"sha256 {model['vocabulary']['sha256'][:12]}: " in line]
        assert name in vocabulary.partition(": ")[2].split(", ")


def test_the_table_fits_into_80_columns(ptune, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert all(f" {name} " in ptune("models")[1] for name in shipped.names())


@pytest.mark.parametrize("name", shipped.names())
def test_the_facts_are_those_of_the_model_that_is_loaded(name, ptune):
    found, frozen = json.loads(ptune("models", name, "--json")[1]), BaseModel(checkpoint=name).load()
    counts = [int(np.size(array)) for array in jax.tree.leaves(frozen.params)]
    assert found["parameters"] == sum(counts)
    assert found["parameters_besides_embeddings"] == sum(counts) - 2 * frozen.config.vocab_size * frozen.config.emb_dim
    assert found["fingerprint"] == frozen.fingerprint
    assert found["vocabulary"]["sha256"] == frozen.vocabulary.sha256
    assert found["vocabulary"]["pieces"] + found["vocabulary"]["sentinels"] == frozen.vocabulary.size
    sizes = frozen.config.emb_dim, frozen.config.num_encoder_layers, frozen.config.num_decoder_layers, frozen.config.num_heads
    assert (found["d_model"], found["encoder_layers"], found["decoder_layers"], found["num_heads"]) == sizes


@pytest.mark.parametrize("name", shipped.names())
def test_a_name_prints_the_card_of_its_size(name, ptune):
    code, out, errors = ptune("models", name)
    assert (code, errors) == (0, "")
    assert out.startswith(f"# {shipped.size_of(name)}\n") and "## Text" in out


def test_an_unknown_model_is_one_line_with_the_nearest(ptune):
    code, out, errors = ptune("models", "tinny")
    assert (code, out) == (2, "") and errors.count("\n") == 1
    assert "no model 'tinny'" in errors and "did you mean 'tiny'?" in errors


def test_a_hugging_face_folder_is_described(model, ptune):
    loaded = BaseModel(checkpoint=str(model)).load()
    found = json.loads(ptune("models", model, "--json")[1])
    assert (found["format"], found["training"]) == ("Hugging Face", None)
    assert found["parameters"] == parameter_count(loaded.config)
    told = ptune("models", model)[1]
    assert told.startswith(f"{model} (Hugging Face): {found['parameters']:,} parameters")
    assert loaded.vocabulary.sha256 in told


@pytest.mark.parametrize("name", ["legacy", "legacy_scan", "legacy_gcs_gzip", "orbax"])
def test_a_t5x_checkpoint_is_described_from_its_shapes(name, ptune):
    sizes = json.loads((ORACLES / name / "meta.json").read_text())["config"]
    config = T5Config(**{**sizes, "mlp_activations": tuple(sizes["mlp_activations"])})
    found = json.loads(ptune("models", ORACLES / name / "ckpt", "--json")[1])
    assert found["format"] == "T5X"
    assert (found["d_model"], found["embedding_rows"]) == (config.emb_dim, config.vocab_size)
    assert (found["encoder_layers"], found["decoder_layers"]) == (config.num_encoder_layers, config.num_decoder_layers)
    biases = found["encoder_layers"] + found["decoder_layers"] - 2 if name == "legacy_scan" else 0  # its layers share none
    assert found["parameters"] == parameter_count(config) + biases * config.num_heads * config.relative_buckets
    assert "no vocabulary" in ptune("models", ORACLES / name / "ckpt")[1]


def test_a_folder_without_a_checkpoint_is_one_line(ptune, tmp_path):
    code, out, errors = ptune("models", tmp_path)
    assert (code, out) == (2, "") and errors.count("\n") == 1
    assert "is not a T5X checkpoint" in errors


def test_the_list_is_made_without_jax():
    script = "import sys; sys.modules['jax'] = None; from ptune_cli import cli; sys.exit(cli.main(['models']))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
