"""T5X's own programs, unchanged, with our model: t5x.train, t5x.eval and t5x.infer from one of T5X's checkpoints.

They are started as their users start them, in processes of their own. README says how to install T5X beside ptune.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict
from t5x_rows import rows

from ptune_cli.data.batch import Batch, pad
from ptune_cli.data.examples import Lengths
from ptune_cli.data.microbatches import COSTS
from ptune_cli.evaluation.predict import Predictor
from ptune_cli.formats import prompt as prompt_format
from ptune_cli.formats import t5x
from ptune_cli.formats.t5x_store import Checkpoint
from ptune_cli.prompts.init import first_key
from ptune_cli.t5.config import T5Config
from ptune_cli.t5.model import T5
from ptune_cli.training.loss import prompt_loss
from ptune_cli.training.optimizer import Adafactor
from ptune_cli.training.step import Step, start

pytestmark = pytest.mark.skipif(importlib.util.find_spec("t5x") is None, reason="T5X is not installed here")

TESTS = Path(__file__).parent
CHECKPOINT = TESTS / "oracles" / "t5x_checkpoints" / "legacy" / "ckpt" / "checkpoint_1000"
SIZES = dict(vocab_size=128, emb_dim=16, num_heads=4, head_dim=8, mlp_dim=32, num_encoder_layers=2, num_decoder_layers=2)
LENGTH, STEPS, ROWS = 3, 4, 4

MODEL = """
from __gin__ import dynamic_registration
import t5x_task
include "t5x/prompt_model.gin"

NUM_EMBEDDINGS = 128
EMBED_DIM = 16
NUM_HEADS = 4
HEAD_DIM = 8
MLP_DIM = 32
NUM_ENCODER_LAYERS = 2
NUM_DECODER_LAYERS = 2
ACTIVATION_DTYPE = "float32"
PROMPT_LENGTH = 3
VOCABULARY = @t5x_task.vocabulary()
"""
RUN = """
from __gin__ import dynamic_registration
from t5x import utils

MIXTURE_OR_TASK_NAME = "t5x_rows"
TASK_FEATURE_LENGTHS = {"inputs": 12, "targets": 4}
utils.RestoreCheckpointConfig.dtype = "float32"
"""
# Steps that can be compared: rows in their order, no dropout, each step's loss told.
TRAINING = """
from __gin__ import dynamic_registration
import __main__ as train_script
from t5x import utils

BATCH_SIZE = 4
DROPOUT_RATE = 0.0
EVAL_STEPS = 1
train_script.train.stats_period = 1
train/utils.DatasetConfig.shuffle = False
"""


def run(folder: Path, program: str, *arguments: str) -> str:
    """The log of `python -m t5x.{program}` with gin files and bindings, those of the small checkpoints among them."""
    for name, text in (("model", MODEL), ("run", RUN), ("training", TRAINING)):
        (folder / f"{name}.gin").write_text(text)
    ours = subprocess.run(
        [sys.executable, "-m", "ptune_cli.t5x_runtime"], capture_output=True, text=True, check=True
    ).stdout.strip()
    paths = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    # T5X's own code promotes ranks.
    environment = {**os.environ, "PYTHONPATH": paths, "JAX_NUMPY_RANK_PROMOTION": "allow"}
    command = [sys.executable, "-m", f"t5x.{program}", f"--gin_search_paths={folder},{ours}", "--gin_file=model.gin", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stderr


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, str]:
    """The folder and the logs of four steps by t5x.train, which is started again in the middle."""
    folder = tmp_path_factory.mktemp("trained")
    files = ("--gin_file=t5x/prompt_finetune.gin", "--gin_file=run.gin", "--gin_file=training.gin")
    places = (f"--gin.INITIAL_CHECKPOINT_PATH='{CHECKPOINT}'", f"--gin.MODEL_DIR='{folder}/run'")
    first = run(folder, "train", *files, *places, "--gin.TRAIN_STEPS=1002")
    return folder / "run", first + run(folder, "train", *files, *places, "--gin.TRAIN_STEPS=1004")


def target(checkpoint: Path) -> dict[str, np.ndarray]:
    """{T5X name: array} of all that a checkpoint has of a model, prompts too."""
    stored = Checkpoint(str(checkpoint))
    arrays = stored.open([name for name in stored.names if "target/" in name])
    return {array.name.partition("target/")[2]: array.read(np.dtype(np.float32)) for array in arrays}


def batches() -> list[Batch]:
    """The batches that the rows make, with the prompt's slots in front."""
    train, slots = rows("train"), -1 - np.arange(LENGTH)
    inputs = [np.concatenate([slots, row["inputs"], [1]]).astype(np.int32) for row in train]
    targets = [np.append(row["targets"], 1).astype(np.int32) for row in train]
    return [_batch(inputs[i : i + ROWS], targets[i : i + ROWS]) for i in range(0, len(train), ROWS)]


def _batch(inputs: list[np.ndarray], targets: list[np.ndarray]) -> Batch:
    ids, wanted = pad(inputs, LENGTH + 12), pad(targets, 4)
    nobody = np.zeros((ROWS, 1), np.int32), np.zeros((ROWS, 1, 3), np.int32)
    return Batch(ids, (ids != 0).astype(np.int32), wanted, (wanted != 0).astype(np.int32), *nobody)


@pytest.fixture(scope="module")
def params():
    return jax.tree.map(jnp.asarray, unflatten_dict(t5x.read(CHECKPOINT, T5Config(**SIZES)), sep="/"))


@pytest.fixture(scope="module")
def ours(params):
    """The losses and the prompt of ptune's own four steps: the first two batches twice, as T5X begins its data again."""
    model, optimizer = T5(T5Config(**SIZES, dropout_rate=0.0)), Adafactor(start_step=1000).build(["prompt"])
    step = Step(prompt_loss(model, ["prompt"], 1e-4), optimizer, ["prompt"])
    state = start({"prompt": jax.random.uniform(first_key(0), (LENGTH, 16), jnp.float32, 0.0, 0.5)}, optimizer)
    losses, made = [], batches()
    for t in range(STEPS):
        state, metrics = step(state, params, [made[t % 2]])
        losses.append(float(metrics["loss"][0] * metrics["tokens"][0]))
    return losses, np.asarray(state.trainable["prompt"])


def test_only_the_prompt_changes(trained):
    before, after = target(CHECKPOINT), target(trained[0] / "checkpoint_1004")
    assert set(after) == {*before, "encoder/prompt/prompt/prompt"}
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert not np.array_equal(after["encoder/prompt/prompt/prompt"], jax.random.uniform(first_key(0), (LENGTH, 16)) * 0.5)


def test_each_step_of_t5xs_trainer_is_ptunes(trained, ours):
    """Losses within 1e-5, and the prompt within 2e-4 (seen: 3e-5) of what a step moves by 0.3.

    Four steps, as two float32 runs of so small a prompt part by a factor of 3 a step: ptune's own do, from starts 1e-7 apart.
    """
    losses = [float(loss) for loss in re.findall(r"\[10\d\d\] collection=train .*?\bloss=([\d.]+)", trained[1])]
    np.testing.assert_allclose(losses, ours[0], rtol=1e-5)
    np.testing.assert_allclose(target(trained[0] / "checkpoint_1004")["encoder/prompt/prompt/prompt"], ours[1], rtol=0, atol=2e-4)


def test_the_prompt_is_written_as_ptune_reads_it(trained):
    prompt = prompt_format.read(trained[0] / "prompts" / "1004")
    np.testing.assert_array_equal(prompt.array, target(trained[0] / "checkpoint_1004")["encoder/prompt/prompt/prompt"])
    assert prompt.metadata["step"] == 1004


@pytest.mark.parametrize(("program", "protocol"), [("eval", "greedy"), ("infer", "beam")])
def test_answers_are_those_of_ptune(program, protocol, trained, params, tmp_path):
    """The ids of t5x.eval and t5x.infer, from the base checkpoint and a prompt file: greedy, and T5X's default."""
    prompt = trained[0] / "prompts" / "1004" / "prompt.safetensors"
    files = ["--gin_file=t5x/greedy.gin"] * (protocol == "greedy") + [
        f"--gin_file=t5x/prompt_{program}.gin",
        "--gin_file=run.gin",
    ]
    places = [
        f"--gin.CHECKPOINT_PATH='{CHECKPOINT}'",
        f"--gin.PROMPT_FILE='{prompt}'",
        f"--gin.{program.upper()}_OUTPUT_DIR='{tmp_path}'",
    ]
    run(tmp_path, program, *files, *places)
    lines = next(
        file for file in tmp_path.rglob("t5x_rows-*jsonl*") if "metrics" not in file.name and file.suffix != ".COMPLETED"
    )
    found = [json.loads(line)["prediction"] for line in lines.read_text().splitlines()]
    found = [ids + [0] * (4 - len(ids)) for ids in found]  # the evaluation cuts them behind EOS
    table = prompt_format.read(prompt).array
    inputs = [np.concatenate([-1 - np.arange(LENGTH), row["inputs"], [1]]).astype(np.int32) for row in rows("validation")]
    predict = Predictor(T5(T5Config(**SIZES)), COSTS["cpu"], Lengths(LENGTH + 12, 4))
    assert found == predict(params, table, inputs, [protocol])[protocol].tolist()


def test_parameters_and_logical_axes_are_those_of_t5xs_own_network():
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent), "JAX_NUMPY_RANK_PROMOTION": "allow"}
    command = [sys.executable, TESTS / "t5x_parameters.py"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    theirs, own = json.loads(done.stdout.splitlines()[-1])
    assert own.pop("encoder/prompt/prompt/prompt") == [[LENGTH, 16], ["prompt", "prompt_embed"]]
    assert own == theirs
