"""Bad input to the commands: one line on standard error, exit code 2, and nothing half-written."""

import json
import shutil
import subprocess
from pathlib import Path

import model_folder
import numpy as np
import pytest

from ptune_cli.data.partial import Example
from ptune_cli.data.prepared import default_cache, find
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.data.writer import locked, write
from ptune_cli.formats import huggingface
from ptune_cli.formats import prompt as prompt_format
from ptune_cli.formats.prompt import PromptFile
from ptune_cli.t5.fingerprint import fingerprint

TESTS = Path(__file__).parent
MEMBER = "kinds.kinds-p5-1"


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def refused(ptune):
    """Runs a command line that is a mistake; returns its one line of standard error."""

    def run(*arguments: object) -> str:
        code, out, errors = ptune(*arguments)
        assert (code, out) == (2, "")
        assert errors.startswith("ptune: error: ")
        assert errors.count("\n") == 1
        return errors

    return run


FLAGS = {
    "--tasks gloss_topc": "no task 'gloss_topc'; did you mean 'gloss_topic'?",
    "--tasks gloss_topic --validation_split valid": "no split 'valid'; did you mean 'validation'?",
    "--tasks kindz:kinds": "no module 'kindz' on the import path",
    "--model.checkpoint tni": "no model 'tni': neither a shipped model nor a path; did you mean 'tiny'? (have: ",
    "--gin runs/dmo.gin": "no gin file 'runs/dmo.gin'; did you mean 'runs/demo.gin'?",
    "--stpes 3": "no flag --stpes; did you mean '--steps'?",
    "--every.svae 3": "--every.svae: loop.Every has no parameter 'svae'; did you mean 'save'?",
    "--gin.Train.stpes=3": "--gin.Train.stpes: train.Train has no parameter 'stpes'; did you mean 'steps'?",
    "--steps many": "--steps: 'many' should be int",
    "--gin.Adafactor.clip=high": "--gin.Adafactor.clip: 'high' should be float",
    "--optimizer.clip nan": "--optimizer.clip: 'nan' should be float",
    "--optimizer adagrad": "--optimizer: 'adagrad' should be Adafactor, Adam or SGD",
    "--protocol beams": "--protocol: 'beams' should be 'greedy', 'beam' or 'rank'",
    "--prompt.placement before": "no placement 'before'; did you mean 'before_eos'?",
    "--prompt.length 0": "a prompt needs at least one row, not length 0",
    "--prompt.length 300 --prompt.init sampledvocabulary": "SampledVocabulary needs 300 different tokens",
    "--prompt.init string --prompt.init.text dog --prompt.init.rest.text q": "init.rest.text",
    "--prompt.init.labels dog,日本": "the class label '日本' does not tokenise",
    "--prompt.init fromfile --prompt.init.path absent.npy": "no prompt at absent.npy; in .: (have: ",
    "--seeds 0,0": "two members are named 'kinds.kinds-0'",
    "--seeds -1": "a seed is 0 to 2147483647",
    "--batch_size 0": "batch_size is 0, expected at least 1",
    "--steps -1": "steps is -1, expected 0 or more",
    "--every.save 0": "save is every 0 steps, expected at least 1",
    "--positions 0": "positions is 0, expected at least 1",
    "--optimizer.learning_rate 0.1,0.2": "learning_rate lists 2 values",
    "--optimizer.learning_rate -1": "the learning rate -1.0 is not a number >= 0",
    "--target_length 2": "train: 13 of 40 targets (32.5%) are cut to 2 tokens; raise target_length to 3",
    "--input_length 1": "input_length 1 and target_length 3 must be at least 2",
}


@pytest.mark.parametrize(("flags", "words"), FLAGS.items())
def test_a_mistake_in_the_command_makes_no_run_folder(model, refused, tmp_path, flags, words):
    assert words in refused(*model_folder.train(model, tmp_path / "run", *flags.split()))
    assert list(tmp_path.iterdir()) == []


def test_the_mistake_put_right_may_use_the_folder(model, refused, ptune, tmp_path):
    command = model_folder.train(model, tmp_path / "run", "--steps", "1")
    refused(*command, "--prompt.init.labels", "dog,日本")
    assert ptune(*command, "--prompt.init.labels", "dog,plant")[0] == 0


def test_a_mistake_in_a_gin_file_is_named_with_its_line(model, refused, tmp_path):
    head = "# a run\nfrom __gin__ import dynamic_registration\nfrom ptune_cli.commands import train\n"
    for line, words in (
        ("train.Train.stpes = 3\n", "own.gin:4: train.Train has no parameter 'stpes'; did you mean 'steps'?"),
        ("train.Train.seeds = 'a'\n", "own.gin:4: train.Train.seeds = 'a' (str) should be tuple of int"),
        ("train.Trian.steps = 3\n", "own.gin:4: "),
    ):
        Path("own.gin").write_text(head + line)
        assert words in refused(*model_folder.train(model, tmp_path / "run", "--gin", "own.gin"))
    assert not (tmp_path / "run").exists()


def test_a_missing_module_comes_with_the_nearest_beside_it(model, refused, monkeypatch, tmp_path):
    monkeypatch.chdir(TESTS)
    assert "did you mean 'kinds'?" in refused(*model_folder.train(model, tmp_path / "run", "--tasks", "kindz:kinds"))


def test_a_missing_model_folder_comes_with_the_nearest_beside_it(model, refused, tmp_path):
    absent = model.with_name(model.name + "s")
    assert f"in {model.parent}: did you mean '{model.name}'?" in refused(*model_folder.train(absent, tmp_path / "run"))


DAMAGE = {
    "model.safetensors": (b"\x00" * 100, "model.safetensors"),
    "config.json": (b"{", "config.json"),
    "spiece.model": (b"no vocabulary", "spiece.model is not a SentencePiece model, or is cut short"),
}


@pytest.mark.parametrize(("name", "damage"), DAMAGE.items())
def test_a_damaged_model_is_named(model, refused, tmp_path, name, damage):
    content, words = damage
    own = shutil.copytree(model, tmp_path / "model")
    (own / name).write_bytes(content)
    assert words in refused(*model_folder.train(own, tmp_path / "run"))
    (own / name).unlink()
    refused(*model_folder.train(own, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_model_file_cut_short_is_named(model, refused, tmp_path):
    own = shutil.copytree(model, tmp_path / "model")
    weights = (own / "model.safetensors").read_bytes()
    (own / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    assert "model.safetensors" in refused(*model_folder.train(own, tmp_path / "run"))


def test_prepared_data_that_changed_on_disk_is_named_with_what_to_do(model, refused, tmp_path, monkeypatch):
    shutil.copytree(default_cache() / "prepared", tmp_path / "cache" / "prepared")
    monkeypatch.setenv("PTUNE_CACHE", str(tmp_path / "cache"))
    file = find(model_folder.TASK, "train", Vocabulary(model / "spiece.model")) / "targets.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    line = refused(*model_folder.train(model, tmp_path / "run"))
    assert f"{file} is corrupt: its content changed after it was written; delete {file.parent} and run again" in line
    assert not (tmp_path / "run").exists()


def prepared(name: str, rows: list[tuple[str, str]], vocabulary: Vocabulary, monkeypatch) -> None:
    """A user's task `name:name` as if it had been prepared, without the quarter of a minute that TensorFlow takes."""
    monkeypatch.setenv("PTUNE_CACHE", str(Path.cwd() / "cache"))
    Path(f"{name}.py").write_text(f'"""The task {name}."""\n')
    examples = [Example(vocabulary.encode(a), vocabulary.encode(b), {"inputs": a, "targets": b}) for a, b in rows]
    for split in ("train", "validation"):
        folder = find(f"{name}:{name}", split, vocabulary)
        facts = {"task": name, "split": split, "fingerprint": "", "vocabulary_sha256": vocabulary.sha256}
        with locked(folder):
            write(folder, [examples], {**facts, "postprocess": "label", "metrics": ["accuracy"], "headline": ["accuracy"]})


def test_a_task_with_a_label_that_does_not_tokenise_is_refused(model, refused, tmp_path, monkeypatch):
    prepared("odd", [("the dog", "dog"), ("in the sand", "日本")], Vocabulary(model / "spiece.model"), monkeypatch)
    line = refused(*model_folder.train(model, tmp_path / "run", "--tasks", "odd:odd", "--prompt.init", "uniform"))
    assert "the label '日本' does not tokenise" in line
    assert not (tmp_path / "run").exists()


def test_ranking_needs_labels(model, refused, tmp_path, monkeypatch):
    rows = [("the dog", " ".join("dog" for _ in range(i))) for i in range(1, 25)]
    prepared("free", rows, Vocabulary(model / "spiece.model"), monkeypatch)
    flags = ("--tasks", "free:free", "--prompt.init", "uniform", "--protocol", "rank")
    assert "free:free has no labels to rank; use the protocol greedy" in refused(
        *model_folder.train(model, tmp_path / "run", *flags)
    )
    assert not (tmp_path / "run").exists()


def test_what_is_cut_is_told_with_count_and_share_and_targets_only_if_allowed(model, ptune, tmp_path):
    flags = ("--input_length", "16", "--target_length", "2", "--truncate_targets", "--steps", "1")
    code, _, errors = ptune(*model_folder.train(model, tmp_path / "run", *flags))
    assert code == 0
    assert errors.splitlines()[:4] == [
        "kinds:kinds train: 10 of 40 inputs (25.0%) are cut to 16 tokens",
        "kinds:kinds train: 13 of 40 targets (32.5%) are cut to 2 tokens",
        "kinds:kinds validation: 3 of 12 inputs (25.0%) are cut to 16 tokens",
        "kinds:kinds validation: 4 of 12 targets (33.3%) are cut to 2 tokens",
    ]


@pytest.fixture
def trained(bank) -> PromptFile:
    return prompt_format.read(bank / "prompts" / MEMBER)


@pytest.mark.parametrize("command", ["eval", "infer"])
def test_no_such_prompt(bank, refused, command):
    absent = bank.with_name("rum")
    assert f"no run or prompt at '{absent}'; in {bank.parent}: did you mean 'run'? (have: run)" in refused(command, absent)
    assert "did you mean 'kinds.kinds-p5-1'?" in refused(command, bank / "prompts" / "kinds.kinds-p5-2")
    assert "no prompt at" in refused(command, bank / "checkpoints")


@pytest.mark.parametrize("command", ["eval", "infer"])
def test_a_prompt_of_another_model_or_width_is_refused_with_both(trained, refused, command):
    Path("texts").write_text("the dog\n")
    flags = ("--input", "texts") if command == "infer" else ()
    other = model_folder.write(Path("other"), seed=2)
    prompt_format.write("prompt", trained)
    line = refused(command, "prompt", "--model.checkpoint", other, *flags)
    assert trained.metadata["base_fingerprint"] in line
    assert fingerprint(huggingface.read(other)[1]) in line
    prompt_format.write("wide", PromptFile(np.ones((5, 24), np.float32), trained.metadata))
    assert "the prompt's width is 24, expected 16" in refused(command, "wide", *flags)


@pytest.mark.parametrize("command", ["eval", "infer"])
@pytest.mark.parametrize("keep", [0, 10, 300])
def test_a_damaged_prompt_is_named(bank, refused, command, keep):
    content = (bank / "prompts" / MEMBER / "prompt.safetensors").read_bytes()
    Path("prompt.safetensors").write_bytes(content[:keep])
    assert "cannot read prompt prompt.safetensors" in refused(command, "prompt.safetensors")


def test_what_eval_and_infer_are_asked_for_is_checked(bank, refused, tmp_path):
    prompt = bank / "prompts" / MEMBER
    assert "no split 'tets'; did you mean 'test'?" in refused("eval", prompt, "--task", "gloss_topic", "--split", "tets")
    assert "no task 'gloss'; did you mean 'gloss_topic'?" in refused("eval", prompt, "--task", "gloss")
    Path("texts.jsonl").write_text('{"inputs": "a"}\n{"inputs": 3}\n{"inputs"\n')
    assert "in .: did you mean 'texts.jsonl'?" in refused("infer", prompt, "--input", "text.jsonl")
    assert "texts.jsonl, line 2: no text in the field 'inputs'" in refused("infer", prompt, "--input", "texts.jsonl")
    Path("texts.jsonl").write_text('{"inputs": "a"}\n{"inputs"\n')
    assert "texts.jsonl, line 2: not JSON" in refused("infer", prompt, "--input", "texts.jsonl")
    Path("texts.jsonl").write_bytes(b"\xff\xfe\n")
    assert "texts.jsonl is not UTF-8 text: invalid start byte at byte 0" in refused("infer", prompt, "--input", "texts.jsonl")
    Path("texts.jsonl").write_text("the dog\n")
    line = refused("infer", prompt, "--input", "texts.jsonl", "--labels", "dog,日本", "--output", "out.jsonl")
    assert "the label '日本' does not tokenise" in line
    line = refused("infer", prompt, "--input", "texts.jsonl", "--output", "texts.jsonl/out.jsonl")
    assert "cannot write texts.jsonl/out.jsonl" in line
    assert "cannot write texts.jsonl/out.jsonl" in refused("eval", prompt, "--output", "texts.jsonl/out.jsonl")
    assert [file.name for file in tmp_path.iterdir()] == ["texts.jsonl"]


def test_a_folder_that_cannot_be_written_is_one_line(model, refused, tmp_path):
    Path("file").write_text("")
    assert "cannot use file/run: Not a directory" in refused(*model_folder.train(model, Path("file/run")))
    assert "cannot use file: File exists" in refused(*model_folder.train(model, Path("file")))


def test_a_damaged_checkpoint_is_named_and_deleting_it_falls_back(bank, refused, ptune, tmp_path):
    run = shutil.copytree(bank, tmp_path / "run")
    config = run / "config.gin"
    config.write_text(config.read_text().replace(str(bank), str(run)))
    (run / "results.json").unlink()
    for file in (run / "checkpoints/10").rglob("*"):
        if file.is_file() and file.name != "sha256.json":
            file.write_bytes(b"damaged")
    line = refused("train", "--gin", config)
    assert f"the checkpoint {run / 'checkpoints/10'} cannot be read" in line
    assert "delete that folder to fall back to step 9" in line
    shutil.rmtree(run / "checkpoints/10")
    assert ptune("train", "--gin", config)[0] == 0
    for member in (bank / "prompts").iterdir():
        assert (run / "prompts" / member.name / "prompt.npy").read_bytes() == (member / "prompt.npy").read_bytes()


def test_a_full_disk_is_one_line_and_with_more_room_the_run_goes_on(model, bank, ptune, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=450k", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(
            f"a small disk cannot be mounted here: {mounted.stderr.strip()} (test_checkpoints.py has one that needs none)"
        )
    command = model_folder.train(model, disk / "run", "--seeds", "0,1", "--prompt_lengths", "3,5", "--test_split", "test")
    try:
        code, out, errors = ptune(*command)
        assert (code, out) == (2, "")
        assert errors.splitlines()[-1].startswith("ptune: error: cannot ")
        assert "No space left on device" in errors.splitlines()[-1]
        assert (disk / "run/checkpoints/3").is_dir()  # it was saved before the disk was full
        subprocess.run(["mount", "-o", "remount,size=10m", disk], check=True)
        assert ptune(*command)[0] == 0
        for member in (bank / "prompts").iterdir():
            assert (disk / "run/prompts" / member.name / "prompt.npy").read_bytes() == (member / "prompt.npy").read_bytes()
        assert json.loads((disk / "run/results.json").read_text())["base_model"] == str(model)
    finally:
        subprocess.run(["umount", disk], check=True)
