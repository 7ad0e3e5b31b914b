"""Every family of T5 on the Hub: its config.json is understood, and its logits are those of `transformers`."""

import json
from pathlib import Path

import numpy as np
import pytest
from flax.traverse_util import unflatten_dict
from huggingface_families import FAMILIES, ids_and_targets, transformers_logits, write
from safetensors.numpy import load_file, save_file

from ptune_cli.errors import UserError
from ptune_cli.formats import huggingface, huggingface_writing
from ptune_cli.t5.model import T5

LOGITS = json.loads((Path(__file__).parent / "oracles" / "huggingface" / "logits.json").read_text())  # see make.py there


def logits(folder: Path) -> np.ndarray:
    config, params = huggingface.read(folder)
    given = ids_and_targets(config.vocab_size)
    return np.asarray(T5(config).apply({"params": unflatten_dict(params, sep="/")}, *given))


def error_of(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        huggingface.read(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_transformers(family, tmp_path):
    write(tmp_path, family)
    # 1e-4: two implementations in float32, that sum in different orders
    np.testing.assert_allclose(logits(tmp_path)[..., :8], LOGITS[family], atol=1e-4, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_transformers_still_computes_the_logits_that_were_noted_down(family, tmp_path):
    pytest.importorskip("torch", reason="torch is not among the test requirements")
    pytest.importorskip("transformers", reason="transformers is not among the test requirements")
    config = write(tmp_path, family)
    theirs = transformers_logits(tmp_path, *ids_and_targets(config.vocab_size))
    np.testing.assert_allclose(theirs[..., :8], LOGITS[family], atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["T5 1.0", "T5 1.1", "umT5", "gated SiLU"])
def test_a_family_that_was_read_is_written_as_it_was(family, tmp_path):
    write(tmp_path / "theirs", family)
    config, params = huggingface.read(tmp_path / "theirs")
    huggingface_writing.write(tmp_path / "ours", config, params)
    assert huggingface.read(tmp_path / "ours")[0] == config
    np.testing.assert_array_equal(logits(tmp_path / "ours"), logits(tmp_path / "theirs"))


@pytest.mark.parametrize("family", ["T5 1.0", "T5 1.1", "umT5", "gated SiLU"])
def test_a_family_that_was_written_is_read_by_transformers(family, tmp_path):
    pytest.importorskip("torch", reason="torch is not among the test requirements")
    pytest.importorskip("transformers", reason="transformers is not among the test requirements")
    write(tmp_path / "theirs", family)
    config, params = huggingface.read(tmp_path / "theirs")
    huggingface_writing.write(tmp_path / "ours", config, params)
    theirs = transformers_logits(tmp_path / "ours", *ids_and_targets(config.vocab_size))
    np.testing.assert_allclose(theirs[..., :8], LOGITS[family], atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["T5 1.1", "mT5"])
def test_logits_of_a_table_that_transformers_5_stored_once_are_made_with_it(family, tmp_path):
    """It ties the table of every T5 that it trains, and tells in the settings whether logits are scaled."""
    settings = {"tie_word_embeddings": True, "scale_decoder_outputs": False}
    config = write(tmp_path, family, **settings)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["lm_head.weight"]
    save_file(tensors, tmp_path / "model.safetensors")
    read_config, params = huggingface.read(tmp_path)
    assert read_config == config and not config.logits_via_embedding
    np.testing.assert_array_equal(params["decoder/logits_dense/kernel"], params["token_embedder/embedding"].T)
    (tmp_path / "config.json").write_text(json.dumps({**FAMILIES[family], "tie_word_embeddings": False}))
    assert "1 missing: lm_head.weight" in error_of(tmp_path)


def test_transformers_5_stores_a_table_once(tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not among the test requirements")
    transformers = pytest.importorskip("transformers", reason="transformers is not among the test requirements")
    (tmp_path / "config.json").write_text(json.dumps(FAMILIES["T5 1.1"]))
    torch.manual_seed(0)
    model = transformers.AutoModelForSeq2SeqLM.from_config(transformers.AutoConfig.from_pretrained(tmp_path))
    model.save_pretrained(tmp_path)
    assert "lm_head.weight" not in load_file(tmp_path / "model.safetensors")
    theirs = transformers_logits(tmp_path, *ids_and_targets(24))
    np.testing.assert_allclose(logits(tmp_path), theirs, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "settings, named",
    [
        ({"feed_forward_proj": "gated-gelly"}, "did you mean 'gated-gelu'"),
        ({"feed_forward_proj": "gelu"}, "feed_forward_proj 'gelu'"),  # the exact one, which no T5 has
        ({"dense_act_fn": "gelu", "is_gated_act": True}, "dense_act_fn 'gelu'"),
        ({"num_layers": 10**9}, "num_layers 1000000000, expected a whole number from 1 to 1,000"),
        ({"d_model": 2**40}, "d_model 1099511627776, expected a whole number from 1 to 2,147,483,647"),
        ({"vocab_size": [[[]]]}, "vocab_size a list"),
    ],
)
def test_settings_that_no_family_has_are_named(settings, named, tmp_path):
    write(tmp_path, "T5 1.1")
    (tmp_path / "config.json").write_text(json.dumps({**FAMILIES["T5 1.1"], **settings}))
    assert named in error_of(tmp_path)
