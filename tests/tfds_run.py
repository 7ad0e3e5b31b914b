"""One bank of prompts over most tasks of the catalog, prepared by TFDS's own builders from the tests' raw files."""

from pathlib import Path

import model_folder

from ptune_cli.data.preparation import ensure
from ptune_cli.data.prepared import Prepared
from ptune_cli.data.vocabulary import Vocabulary
from ptune_cli.shipped import ASSETS

SUPER_GLUE = ("boolq", "cb", "copa", "multirc", "record", "rte", "wic", "wsc")
GLUE = ("cola", "sst2", "mrpc", "qqp", "stsb", "mnli", "qnli", "glue_rte", "wnli")
QUESTIONS = ("squad", "news_qa", "squad_to_bio_asq")
TRAINED = (*SUPER_GLUE, *GLUE, *QUESTIONS)
TESTED = ("axb", "axg", "ax", "mnli_matched", "mnli_mismatched", "dpr", *SUPER_GLUE, *GLUE, "squad_to_bio_asq", "qqp_to_mrpc")
VOCABULARY = Vocabulary(ASSETS / "tiny" / "spiece.model")


def prepare(data_dir: Path) -> dict[tuple[str, str], Prepared]:
    """{(task, split): its prepared split}, all made by one process."""
    wanted = [(task, split) for task in TRAINED for split in ("train", "validation")]
    wanted += [(task, "validation") for task in ("mnli_matched", "mnli_mismatched")]
    wanted += [(task, "test") for task in TESTED]
    found = ensure(wanted, VOCABULARY, progress=lambda *_: None, data_dir=str(data_dir))
    return dict(zip(wanted, found, strict=True))


def write_model(folder: Path) -> Path:
    """A tiny T5 for the vocabulary that the tasks are prepared for."""
    model_folder.write(folder, vocab_size=-(-VOCABULARY.size // 64) * 64)
    (folder / "spiece.model").write_bytes(VOCABULARY.path.read_bytes())
    return folder


def train(folder: Path) -> Path:
    """A finished run of two steps, one prompt for each task; its model is beside it."""
    from ptune_cli import cli

    flags = ("--tasks", ",".join(TRAINED), "--steps", "2", "--input_length", "128", "--offline", "true")
    command = model_folder.train(write_model(folder / "model"), folder / "run", *flags, "--every.before_training", "false")
    assert cli.main(command) == 0
    return folder / "run"
