"""The commands of docs/released_prompts.md: they say what the original code's evaluation does, and run to their end."""

import json
import re
import shlex
from pathlib import Path

import model_folder
import numpy as np
import pytest
import tfds_run
import tiny
from flax.serialization import msgpack_serialize

from ptune_cli.data.preparation import ensure

TEXT = (Path(__file__).parents[1] / "docs" / "released_prompts.md").read_text("utf-8")
COMMANDS = {line.split()[2]: shlex.split(line) for line in TEXT.splitlines() if line.startswith("ptune eval ")}
SIZES = {"vocab_size": -(-tfds_run.VOCABULARY.size // 64) * 64, "num_encoder_layers": 1, "num_decoder_layers": 1}


def test_there_is_a_command_for_each_prompt():
    assert list(COMMANDS) == re.findall(r"^\| `(\w+\.npy)` \|", TEXT, re.MULTILINE) == ["sst2.npy", "mrpc.npy", "rte.npy"]


@pytest.mark.parametrize("name", ["sst2.npy", "mrpc.npy", "rte.npy"])
def test_a_command_says_what_the_original_codes_evaluation_does(name, ptune):
    code, out, errors = ptune(*COMMANDS[name][1:], "--explain", "--json")
    assert (code, errors) == (0, "")
    said = {row["name"]: row["value"] for row in json.loads(out)["values"]}
    assert said["model.checkpoint"].endswith("/t5_1_1_lm100k_base/checkpoint_1100000")
    expected = {
        "split": "validation",
        "target_length": 8,
        "protocol": "beam",
        "model.dtype": "bfloat16",
        "model.config.emb_dim": 768,
    }
    assert {key: said[key] for key in expected} == expected and said["model.weights_dtype"] == "float32"


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory) -> list[str]:
    """The flags that put a tiny T5X checkpoint in the place of the public one."""
    config = model_folder.config(**SIZES)
    folder = tmp_path_factory.mktemp("stand_in") / "checkpoint_1100000"
    folder.mkdir()
    (folder / "checkpoint").write_bytes(msgpack_serialize({"version": 3, "optimizer": {"target": _plain(tiny.weights(config))}}))
    sizes = {key: getattr(config, key) for key in (*SIZES, "emb_dim", "num_heads", "head_dim", "mlp_dim")}
    flags = {f"model.config.{key}": value for key, value in sizes.items()}
    flags.update({"model.checkpoint": folder, "model.vocabulary": tfds_run.VOCABULARY.path, "positions": 512})
    return [text for key, value in flags.items() for text in (f"--{key}", str(value))]


def test_the_command_runs_on_a_checkpoint_of_the_same_format(stand_in, data_dir, ptune, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    [split] = ensure([("mrpc", "validation")], tfds_run.VOCABULARY, progress=lambda *_: None, data_dir=str(data_dir))
    np.save("mrpc.npy", np.random.default_rng(0).normal(size=(100, 16)).astype(np.float32))
    code, out, errors = ptune(*COMMANDS["mrpc.npy"][1:], *stand_in, "--offline", "--json")
    assert code == 0, errors
    [[scores]] = [found.values() for found in json.loads(out)["tasks"].values()]
    assert scores["n"] == len(split) and {"accuracy", "f1"} <= scores.keys()


def _plain(tree) -> dict:
    return {key: _plain(value) if isinstance(value, dict) else np.asarray(value) for key, value in tree.items()}
