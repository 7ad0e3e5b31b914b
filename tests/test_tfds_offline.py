"""TFDS's own builders make of the tests' raw files what was written in them, without a network."""

import json
import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import raw_glue
import raw_qa
import raw_super_glue
from tfds_seed import seed

GLUE = ("cola", "sst2", "mrpc", "qqp", "stsb", "mnli", "mnli_matched", "mnli_mismatched", "qnli", "rte", "wnli", "ax")
HIDDEN = [f"glue/{name}:2.0.0" for name in GLUE]
HIDDEN += [f"super_glue/{name}:1.0.2" for name in ("boolq", "cb", "copa", "multirc", "rte", "wic", "wsc.fixed")]
EXPECTED = {f"super_glue/{name}:1.0.2": partial(raw_super_glue.expected, name) for name in raw_super_glue.ARCHIVES}
EXPECTED |= {f"glue/{name}:2.0.0": partial(raw_glue.expected, name) for name in GLUE}
EXPECTED |= {f"mrqa/{name}:1.0.0": partial(raw_qa.expected, name) for name in ("news_qa", "bio_asq")}
EXPECTED["squad/v1.1:3.0.0"] = partial(raw_qa.expected, "squad")
EXPECTED["definite_pronoun_resolution:1.1.0"] = partial(raw_qa.expected, "definite_pronoun_resolution")

SEQIO = """
import json, sys, time
import seqio
seqio.set_tfds_data_dir_override(sys.argv[1])
source = seqio.TfdsDataSource("mrqa/bio_asq:1.0.0", splits={"validation": "test"})  # it has no other
rows = source.get_dataset("validation", shuffle=False).as_numpy_iterator()
questions = sorted(row["question"].decode() for row in rows)
start = time.monotonic()
try:
    seqio.TfdsDataSource("squad/v2.0:3.0.0", splits=["train"]).get_dataset("train")
except Exception as error:
    failure = type(error).__name__
print(json.dumps([questions, source.num_input_examples("validation"), failure, time.monotonic() - start]))
"""


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """Where TFDS finds its downloads and puts what it prepares."""
    folder = tmp_path_factory.mktemp("tfds")
    seed(folder)
    return folder


@pytest.fixture(scope="session")
def build(data_dir):
    """Prepares a dataset, once, and returns its builder."""
    import tensorflow_datasets as tfds

    def prepare(name: str):
        builder = tfds.builder(name, data_dir=data_dir)
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
        return builder

    return prepare


def plain(value, names=()):
    """A field of an example as JSON holds it; a label that is not hidden as its name."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    value = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    if isinstance(value, list):
        return [plain(item) for item in value]
    if names and value >= 0:
        return names[value]
    return value.decode() if isinstance(value, bytes) else round(value, 4)  # float32 of a score like 3.667


def read(builder, split: str, fields) -> list[dict]:
    names = {field: getattr(builder.info.features[field], "names", ()) for field in fields}
    examples = builder.as_dataset(split=split).as_numpy_iterator()
    return [{field: plain(example[field], names[field]) for field in fields} for example in examples]


def in_order(rows) -> list[str]:
    """TFDS shuffles."""
    return sorted(json.dumps(row, sort_keys=True, ensure_ascii=False) for row in rows)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_builder_makes_what_was_written(name, build):
    builder, expected = build(name), EXPECTED[name]()
    assert {split: info.num_examples for split, info in builder.info.splits.items()} == {
        split: len(rows) for split, rows in expected.items()
    }
    for split, rows in expected.items():
        assert in_order(read(builder, split, rows[0])) == in_order(rows)


@pytest.mark.parametrize("name", HIDDEN)
def test_hidden_labels_are_minus_one(name, build):
    builder = build(name)
    for split in [split for split in builder.info.splits if split.startswith("test")]:
        assert {example["label"].item() for example in builder.as_dataset(split=split).as_numpy_iterator()} == {-1}


def test_qqps_row_that_was_cut_off_is_left_out(build):
    numbers = {example["idx"].item() for example in build("glue/qqp:2.0.0").as_dataset(split="train").as_numpy_iterator()}
    assert numbers == {0, 1, 3, 4, 5, 6, 7, 8}


def test_multirc_and_record_number_passage_and_question(build):
    examples = list(build("super_glue/multirc:1.0.2").as_dataset(split="train").as_numpy_iterator())
    numbers = {(int(e["idx"]["paragraph"]), int(e["idx"]["question"]), int(e["idx"]["answer"])) for e in examples}
    assert sorted(numbers) == [
        (0, 0, 0),
        (0, 0, 1),
        (0, 0, 2),
        (0, 1, 3),
        (0, 1, 4),
        (1, 2, 5),
        (1, 2, 6),
        (1, 2, 7),
        (2, 3, 8),
        (2, 3, 9),
    ]
    examples = build("super_glue/record:1.0.2").as_dataset(split="train").as_numpy_iterator()
    assert {(int(e["idx"]["passage"]), int(e["idx"]["query"])) for e in examples} == {
        (0, 0),
        (0, 1),
        (0, 2),
        (1, 3),
        (1, 4),
        (2, 5),
        (2, 6),
        (2, 7),
    }


def test_what_is_prepared_is_read_again_without_its_downloads(build, data_dir, tmp_path):
    import tensorflow_datasets as tfds

    build("super_glue/boolq:1.0.2")
    (tmp_path / "super_glue").symlink_to(data_dir / "super_glue")
    rows = tfds.load("super_glue/boolq:1.0.2", split="train", data_dir=tmp_path, download=False)
    assert len(rows) == len(raw_super_glue.expected("boolq")["train"])
    assert not (tmp_path / "downloads").exists()


def test_seqios_source_prepares_from_the_same_folder_and_a_download_fails_at_once(tmp_path):
    seed(tmp_path)
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", SEQIO, tmp_path], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    questions, count, failure, seconds = json.loads(done.stdout.splitlines()[-1])  # TFDS prints before it
    assert questions == sorted(row["question"] for row in raw_qa.expected("bio_asq")["test"])
    assert (count, failure) == (3, "InvalidProxyURL")
    assert seconds < 30
