"""TFDS's own builders make of the tests' raw files what was written in them, without a network."""

import json
import os
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
import raw_glue
import raw_qa
import raw_super_glue
from tfds_seed import seed

GLUE = ("cola", "sst2", "mrpc", "qqp", "stsb", "mnli", "mnli_matched", "mnli_mismatched", "qnli", "rte", "wnli", "ax")
EXPECTED = {f"super_glue/{name}:1.0.2": partial(raw_super_glue.expected, name) for name in raw_super_glue.ARCHIVES}
EXPECTED |= {f"glue/{name}:2.0.0": partial(raw_glue.expected, name) for name in GLUE}
EXPECTED |= {f"mrqa/{name}:1.0.0": partial(raw_qa.expected, name) for name in ("news_qa", "bio_asq")}
EXPECTED |= {
    "squad/v1.1:3.0.0": partial(raw_qa.expected, "squad"),
    "definite_pronoun_resolution:1.1.0": partial(raw_qa.expected, "definite_pronoun_resolution"),
}
HIDDEN = {name for name in EXPECTED if name.startswith("glue/")} | {
    f"super_glue/{name}:1.0.2" for name in raw_super_glue.FIELDS if name not in ("axb", "axg")
}


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """Where TFDS finds its downloads and puts what it prepares."""
    folder = tmp_path_factory.mktemp("tfds")
    seed(folder)
    return folder


def prepared(name: str, data_dir, download: bool = True):
    import tensorflow_datasets as tfds

    builder = tfds.builder(name, data_dir=data_dir)
    if download:
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
    return builder


def plain(value, names):
    """A field of an example as text, number or list; a label as its name."""
    if isinstance(value, dict):
        return {key: plain(item, None) for key, item in value.items()}
    if names:
        return names[value] if value >= 0 else -1
    value = np.asarray(value).tolist()
    return [item.decode() for item in value] if isinstance(value, list) else value.decode() if isinstance(value, bytes) else value


def fields(builder, example, wanted) -> dict:
    row = {key: plain(example[key], getattr(builder.info.features[key], "names", None)) for key in wanted}
    if isinstance(row.get("answers"), dict):
        row["answers"] = {"text": [text.decode() if isinstance(text, bytes) else text for text in row["answers"]["text"]]}
    return row


def in_order(rows) -> list[str]:
    """TFDS shuffles."""
    return sorted(json.dumps(row, sort_keys=True, ensure_ascii=False) for row in rows)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_real_builder_makes_what_was_written(name, data_dir):
    builder = prepared(name, data_dir)
    expected = EXPECTED[name]()
    assert {split: info.num_examples for split, info in builder.info.splits.items()} == {k: len(v) for k, v in expected.items()}
    for split, rows in expected.items():
        examples = list(builder.as_dataset(split=split).as_numpy_iterator())
        got = [fields(builder, example, rows[0]) for example in examples]
        rounded = [row | {"label": round(float(row["label"]), 4)} for row in got] if "stsb" in name else got
        assert in_order(rounded) == in_order([row | {"label": float(row["label"])} for row in rows] if "stsb" in name else rows)
        if name in HIDDEN and split.startswith("test"):
            assert {float(example["label"]) for example in examples} == {-1.0}
