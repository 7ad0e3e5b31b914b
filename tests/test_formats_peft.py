"""Adapters of Hugging Face's PEFT: what PEFT computes with a prompt, we compute; what it saves, we read, and the other way round.

`oracles/peft` holds adapters that PEFT saved and its answers, so that this holds where PEFT is not installed.
"""

import importlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import peft_case
import pytest
from peft_case import PROMPT_LENGTH, SIZES
from safetensors.numpy import load_file, save_file

from ptune_cli.errors import UserError
from ptune_cli.formats import peft, prompt

ORACLES = Path(__file__).parent / "oracles" / "peft"
ANSWERS = json.loads((ORACLES / "answers.json").read_text())
PROMPT = np.random.default_rng(7).normal(size=(PROMPT_LENGTH, 16)).astype(np.float32)
METADATA = {"base_model": "tiny", "task": "kinds", "seed": 3, "scores": {"accuracy": 50.0}, "placement": "prefix"}


# transformers 5.24 warns PEFT, which asks it for a setting by its old name.
WARNS = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


@pytest.fixture
def live() -> Any:
    """The same with PEFT itself."""
    pytest.importorskip("peft", reason="peft is not among the test requirements")
    return importlib.import_module("peft_live")


@pytest.fixture
def adapter(tmp_path) -> Path:
    """A copy of an adapter that PEFT saved, to be spoilt."""
    return Path(shutil.copytree(ORACLES / "t5_1_1", tmp_path / "adapter"))


def change_config(folder: Path, **settings) -> None:
    old = json.loads((folder / peft.CONFIG).read_text())
    (folder / peft.CONFIG).write_text(json.dumps({**old, **settings}))


def assert_close(ours, theirs) -> None:
    """Two implementations in float32, that sum in different orders."""
    np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=0)


def error_of(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        prompt.read(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", SIZES)
def test_a_prompt_that_peft_saved_answers_as_it_did_there(name):
    found, expected = prompt.read(ORACLES / name).array, ANSWERS[name]
    assert found.shape == (PROMPT_LENGTH, 16)
    assert peft_case.generated(name, found) == expected["generated"]
    assert_close(peft_case.log_likelihoods(name, found), expected["log_likelihoods"])


def test_without_the_prompt_the_answers_would_be_others():
    none = np.zeros_like(PROMPT)
    assert all(peft_case.generated(name, none) != ANSWERS[name]["generated"] for name in SIZES)


def test_of_the_rows_that_peft_saves_those_of_the_encoder_are_read_and_the_others_are_told_of():
    array = load_file(ORACLES / "t5_1_1" / peft.WEIGHTS)["prompt_embeddings"]
    assert array.shape == (2 * PROMPT_LENGTH, 16)
    for path in (ORACLES / "t5_1_1", ORACLES / "t5_1_1" / peft.WEIGHTS):
        np.testing.assert_array_equal(prompt.read(path).array, array[:PROMPT_LENGTH])
    [note] = prompt.opened(ORACLES / "t5_1_1").notes
    assert "rows 5 to 9 are left out" in note


@WARNS
@pytest.mark.parametrize("name", SIZES)
def test_peft_answers_with_a_prompt_of_ours_as_we_do(name, live, tmp_path):
    peft.write(tmp_path / "adapter", PROMPT, METADATA, None)
    model = live.loaded(live.base(name, tmp_path / "model"), tmp_path / "adapter")
    assert peft_case.generated(name, PROMPT) == live.generated(model)
    assert_close(peft_case.log_likelihoods(name, PROMPT), live.log_likelihoods(model))
    model.save_pretrained(tmp_path / "again")
    np.testing.assert_array_equal(prompt.read(tmp_path / "again").array, PROMPT)


@WARNS
@pytest.mark.parametrize("submodules", [1, 2, None])
def test_we_answer_with_a_prompt_of_pefts_as_it_does(submodules, live, tmp_path):
    own = live.untrained(live.base("t5_1_1", tmp_path / "model"), num_virtual_tokens=3, num_transformer_submodules=submodules)
    own.save_pretrained(tmp_path / "adapter")
    found = prompt.read(tmp_path / "adapter").array
    assert found.shape == (3, 16)
    assert peft_case.generated("t5_1_1", found) == live.generated(own)


@WARNS
def test_peft_never_uses_the_rows_that_are_left_out(live, tmp_path):
    own = live.untrained(live.base("t5_1_1", tmp_path / "model"), num_virtual_tokens=PROMPT_LENGTH)
    rows = own.prompt_encoder["default"].embedding.weight
    before = live.generated(own), live.log_likelihoods(own).tolist()
    rows.data[PROMPT_LENGTH:] = 99.0
    assert before == (live.generated(own), live.log_likelihoods(own).tolist())


def test_what_is_written_is_read_back_with_all_that_is_known_of_it(tmp_path):
    peft.write(tmp_path, PROMPT, METADATA, "tiny")
    found = prompt.read(tmp_path)
    np.testing.assert_array_equal(found.array, PROMPT)
    assert found.metadata == METADATA
    config = json.loads((tmp_path / peft.CONFIG).read_text())
    assert config["base_model_name_or_path"] == "tiny" and config["num_transformer_submodules"] == 1


def test_an_adapter_of_pefts_own_says_no_more_than_its_base_model():
    assert prompt.read(ORACLES / "t5_1_0").metadata == {"base_model": "t5_1_0"}


def test_entries_that_a_later_peft_adds_are_ignored(adapter):
    change_config(adapter, peft_version="9.0", something_new={"a": [1]}, auto_mapping={"parent_library": "os"})
    assert prompt.read(adapter).array.shape == (PROMPT_LENGTH, 16)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_types_of_floating_point_are_read(dtype, adapter):
    array = load_file(adapter / peft.WEIGHTS)[peft.ARRAY].astype(dtype)
    save_file({peft.ARRAY: array}, adapter / peft.WEIGHTS)
    assert prompt.opened(adapter).dtype == dtype
    np.testing.assert_array_equal(prompt.read(adapter).array, array[:PROMPT_LENGTH].astype(np.float32))


@pytest.mark.parametrize("method", ["PREFIX_TUNING", "P_TUNING", "LORA", "MULTITASK_PROMPT_TUNING", None, ["PROMPT_TUNING"]])
def test_another_method_is_refused(method, adapter):
    change_config(adapter, peft_type=method)
    assert f"peft_type {method!r}, expected 'PROMPT_TUNING'" in error_of(adapter)


@pytest.mark.parametrize("task", ["CAUSAL_LM", "SEQ_CLS", None])
def test_a_prompt_of_another_kind_of_model_is_refused(task, adapter):
    change_config(adapter, task_type=task)
    assert f"task_type {task!r}, expected 'SEQ_2_SEQ_LM'" in error_of(adapter)


@pytest.mark.parametrize(
    "settings",
    [{"num_virtual_tokens": 6}, {"num_virtual_tokens": 10}, {"num_transformer_submodules": 1}, {"token_dim": 32}],
)
def test_a_configuration_that_disagrees_with_the_array_is_refused(settings, adapter):
    change_config(adapter, **settings)
    error = error_of(adapter)
    assert "has shape (10, 16), expected" in error and all(f"{key} {value}" in error for key, value in settings.items())


@pytest.mark.parametrize("value", [0, -5, 2.0, "5", True, [5], 10**30])
@pytest.mark.parametrize("key", ["num_virtual_tokens", "num_transformer_submodules", "token_dim"])
def test_a_number_that_is_none_is_refused(key, value, adapter):
    change_config(adapter, **{key: value})
    assert key in error_of(adapter)


def test_a_missing_length_is_named(adapter):
    change_config(adapter, num_virtual_tokens=None)
    assert "has no num_virtual_tokens" in error_of(adapter)


@pytest.mark.parametrize("name", SIZES)
def test_an_adapter_that_peft_saved_as_a_pickle_is_read_without_running_it(name):
    pickled = prompt.opened(ORACLES / f"{name}_pickled")
    assert pickled.file.name == "adapter_model.bin"
    np.testing.assert_array_equal(pickled.read(), prompt.read(ORACLES / name).array)
    assert "if an earlier one saved them" in pickled.notes[0]


def test_an_adapter_without_a_prompt_in_it_is_refused(adapter):
    (adapter / peft.WEIGHTS).unlink()
    assert "no adapter_model.safetensors in" in error_of(adapter)
    (adapter / peft.PICKLED).write_bytes(b"PK\x03\x04")
    assert "adapter_model.bin" in error_of(adapter)


def test_an_adapter_that_changes_more_than_the_prompt_is_refused(adapter):
    array = load_file(adapter / peft.WEIGHTS)[peft.ARRAY]
    save_file({peft.ARRAY: array, "lm_head.weight": array}, adapter / peft.WEIGHTS)
    assert "more than prompt_embeddings (lm_head.weight)" in error_of(adapter)


def test_a_prompt_that_is_not_in_front_cannot_be_written(tmp_path):
    with pytest.raises(UserError, match="'suffix'"):
        peft.write(tmp_path / "adapter", PROMPT, {"placement": "suffix"}, None)
    assert not (tmp_path / "adapter").exists()
