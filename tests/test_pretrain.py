"""`ptune pretrain`: all weights learn, a killed run ends as if it had never been, bfloat16 computes on float32 weights."""

import json
import subprocess
from pathlib import Path

import model_folder
import numpy as np
import pytest
from processes import STOPS, python

from ptune_cli.base_model import BaseModel, flat_parameters
from ptune_cli.commands.pretrain import T5_OPTIMIZER
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.runs import RunFolder
from ptune_cli.training.step import start

ROWS = model_folder.config().vocab_size
SIZES = f"--config.vocab_size {ROWS} --config.emb_dim 16 --config.num_heads 2 --config.head_dim 8 --config.mlp_dim 16".split()
SIZES += "--config.num_encoder_layers 1 --config.num_decoder_layers 1 --objective.length 24".split()
OFTEN = "--every.evaluate 5 --every.save 5 --every.log 1 --batch_size 4 --validation_batches 2 --steps 20".split()
RATES = ("seconds", "examples_per_second", "tokens_per_second")


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("text") / "ponds.txt"
    file.write_text("".join(f"a bird that swims in pond {i} and dabbles there\n" for i in range(40)))
    return file


def command(text: Path, output: Path, *flags: str) -> list[str]:
    """A run of twenty steps of span corruption from new weights. A later flag wins."""
    data = ["--text", str(text), "--validation_text", str(text), "--vocabulary", str(model_folder.VOCABULARY)]
    return ["pretrain", *data, "--config", "T5Config", *SIZES, *OFTEN, "--output", str(output), *flags]


@pytest.fixture(scope="module")
def whole(cache, text, tmp_path_factory) -> Path:
    """A run that nothing stopped."""
    from ptune_cli import cli

    folder = tmp_path_factory.mktemp("whole") / "run"
    assert cli.main(command(text, folder)) == 0
    return folder


def metrics(run: Path) -> list[dict]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name not in RATES} for row in rows]


def weights(run: Path) -> dict[str, np.ndarray]:
    """Those of the last checkpoint, as they were trained; the model folder has them rounded to bfloat16."""
    template = start(BaseModel(checkpoint=str(run / "model")).load().params, T5_OPTIMIZER.build(None))
    with RunFolder.open(run, (run / "config.gin").read_text()) as folder:
        restored = folder.restore(template)
    assert restored is not None and restored[0] == 20
    return flat_parameters(restored[1].trainable)


def test_killed_anywhere_it_ends_as_if_it_had_never_been(whole, text, ptune, tmp_path):
    run = tmp_path / "run"
    for step in (3, 9):  # before the first save, and in the middle after it
        with python(STOPS, "kill", step, *command(text, run)) as process:
            _, errors = process.communicate()
        assert process.returncode == -9, errors
    assert ptune(*command(text, run))[0] == 0
    assert metrics(run) == metrics(whole)
    found, expected = weights(run), weights(whole)
    assert all(np.array_equal(found[name], expected[name]) and found[name].dtype == np.float32 for name in expected)


def test_every_weight_learns_and_the_held_out_loss_falls(whole, text, ptune, tmp_path):
    assert ptune(*command(text, tmp_path / "run", "--steps", "0"))[0] == 0
    first = BaseModel(checkpoint=str(tmp_path / "run/model")).load()
    last = BaseModel(checkpoint=str(whole / "model")).load()
    before, after = flat_parameters(first.params), flat_parameters(last.params)
    assert [name for name in before if np.array_equal(before[name], after[name])] == []
    losses = [row["validation/loss"] for row in metrics(whole) if "validation/loss" in row]
    assert losses[-1] < losses[0] and last.vocabulary.sha256 == Vocabulary(model_folder.VOCABULARY).sha256


def test_bfloat16_computes_on_weights_that_are_kept_in_float32(whole, text, ptune, tmp_path):
    run = tmp_path / "run"
    assert ptune(*command(text, run, "--config.dtype", "bfloat16"))[0] == 0
    kept, exact = weights(run), weights(whole)
    assert {array.dtype for array in kept.values()} == {np.dtype(np.float32)}
    # float32 weights that bfloat16 cannot hold: an update of a thousandth is not lost
    assert any(not np.array_equal(array, array.astype("bfloat16").astype(np.float32)) for array in kept.values())
    assert any(not np.array_equal(kept[name], exact[name]) for name in kept)
    both = [[row["validation/loss"] for row in metrics(folder) if "validation/loss" in row][-1] for folder in (run, whole)]
    assert both[0] == pytest.approx(both[1], rel=0.01)


def test_the_mean_of_the_last_checkpoints_is_written_and_no_stop_changes_it(text, ptune, tmp_path):
    folders = [tmp_path / name for name in ("three", "ten", "fifteen", "twenty", "stopped")]
    flags = ["--average", "3"]
    with python(STOPS, "hold", 13, *command(text, folders[4], *flags), stdin=subprocess.PIPE) as process:
        assert any(line == "held\n" for line in process.stdout)
        process.terminate()  # saves a step between the others
        _, errors = process.communicate("\n")
    assert process.returncode == 75, errors
    with python(STOPS, "kill", 4, *command(text, folders[4], *flags)) as process:
        _, errors = process.communicate()
    assert process.returncode == -9, errors
    for folder in (folders[0], folders[4]):
        code, told, _ = ptune(*command(text, folder, *flags))
        assert code == 0 and "the mean of the last 3 checkpoints" in told
    for folder, steps in zip(folders[1:4], (10, 15, 20), strict=True):
        assert ptune(*command(text, folder, "--steps", str(steps)))[0] == 0
    mean, *singles, stopped = [flat_parameters(BaseModel(checkpoint=str(folder / "model")).load().params) for folder in folders]
    for name in mean:
        np.testing.assert_array_equal(mean[name], stopped[name])
        # The singles were rounded to bfloat16, three significant digits, before this mean.
        np.testing.assert_allclose(mean[name], np.mean([one[name] for one in singles], axis=0), rtol=2**-7, atol=1e-4)
    assert any(not np.array_equal(mean[name], singles[2][name]) for name in mean)


def test_more_checkpoints_than_are_saved_have_no_mean(text, ptune, tmp_path):
    code, _, told = ptune(*command(text, tmp_path / "run", "--average", "5"))
    assert code == 2 and "average is 5" in told and "saves 4 checkpoints" in told


def test_a_vocabulary_larger_than_the_embedding_is_refused(text, ptune, tmp_path):
    code, _, errors = ptune(*command(text, tmp_path / "run", "--config.vocab_size", "128"))
    assert code == 2 and "the model only 128 embeddings" in errors and not (tmp_path / "run").exists()


def test_a_new_model_needs_its_sizes_and_its_vocabulary(text, ptune, tmp_path):
    arguments = ["pretrain", "--text", text, "--validation_text", text, "--output", tmp_path / "run"]
    code, _, errors = ptune(*arguments)
    assert code == 2 and "a new model needs a config and a vocabulary; give both, or --initial" in errors
