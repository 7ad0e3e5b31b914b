"""The original code's prompts: found where its trainer wrote them, and refused in words where they are of another kind."""

import io
from pathlib import Path

import numpy as np
import pytest

from ptune_cli.commands import trained
from ptune_cli.errors import UserError
from ptune_cli.formats import prompt

NAME = "encoder.prompt.prompt.prompt"


def write(folder: Path, *names: str, value: float = 1.0, shape=(3, 8)) -> Path:
    """Files as its trainer writes them: NumPy's format without a suffix."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        file = io.BytesIO()
        np.save(file, np.full(shape, value, np.float32))
        (folder / name).write_bytes(file.getvalue())
    return folder


@pytest.fixture
def model(tmp_path) -> Path:
    """A model's folder with the prompts of three steps, and one that was being written."""
    for step in (1_100_000, 1_101_000, 999_000):
        write(tmp_path / "model" / "numpy_checkpoints" / f"checkpoint_{step}", NAME, value=step)
    write(tmp_path / "model" / "numpy_checkpoints" / "checkpoint_1102000.tmp-1631", NAME, value=-1)
    (tmp_path / "model" / "numpy_checkpoints" / "checkpoint_1103000").mkdir()
    write(tmp_path / "model" / "checkpoint_1101000", "checkpoint")
    return tmp_path / "model"


def test_the_last_steps_prompt_is_found_in_the_folder_of_a_model(model):
    for path, step in {
        model: 1_101_000,
        model / "numpy_checkpoints": 1_101_000,
        model / "numpy_checkpoints" / "checkpoint_999000": 999_000,
        model / "numpy_checkpoints" / "checkpoint_999000" / NAME: 999_000,
    }.items():
        assert (prompt.read(path).array == step).all() and prompt.opened(path).kind == "original"


def test_the_commands_take_it_as_a_prompt(model):
    [found] = trained.find(str(model))
    assert found.member.prompt.length == 3 and (found.file.array == 1_101_000).all()


# As the parameters of its extensions are called.
OTHERS = {
    "encoder.layers_0.prompt.prompt.prompt": "a prompt of every layer",
    "encoder.prompt.prompt.shared_prompt": "the part of a multi-task prompt that all tasks share",
    "encoder.prompt.prompt.task_prompts.embedding": "the part of a multi-task prompt that each task has of its own",
    "decoder.prompt.prompt.prompt": "a prompt of the decoder",
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("beside", [(), (NAME,)])
def test_prompts_of_another_kind_are_refused_in_words(name, beside, model):
    step = write(model / "numpy_checkpoints" / "checkpoint_1104000", name, *beside)
    for path in (model, step, step / name, *(step / other for other in beside)):
        with pytest.raises(UserError, match=OTHERS[name]) as caught:
            prompt.read(path)
        assert name in str(caught.value) and "in front of the encoder's input" in str(caught.value)


def test_a_folder_without_prompts_is_refused(tmp_path):
    (tmp_path / "numpy_checkpoints").mkdir()
    with pytest.raises(UserError, match="no prompt at"):
        prompt.read(tmp_path)


def test_a_file_of_the_shape_and_type_of_the_released_prompts_is_read_as_it_is(tmp_path):
    """pretrained_prompts/t5_1_1_lm100k_base/{sst2,mrpc,rte}.npy of the original repository: [100, 768] float32, 307,328 bytes."""
    array = 50 * np.random.default_rng(0).normal(size=(100, 768)).astype("<f4")
    np.save(tmp_path / "sst2.npy", array)
    assert (tmp_path / "sst2.npy").stat().st_size == 307_328
    assert prompt.read(tmp_path / "sst2.npy").array.tobytes() == array.tobytes()
