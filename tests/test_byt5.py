"""A ByT5 folder as the Hub has it (PyTorch's weights, no vocabulary file) is tuned and answers, on the bytes of the texts."""

import json
from pathlib import Path

import model_folder
import numpy as np
import pytest
import torch_files
from huggingface_families import random_params, write

from ptune_cli.data.byte_vocabulary import ByteVocabulary
from ptune_cli.data.preparation import ensure
from ptune_cli.formats.huggingface_names import huggingface_name, is_transposed

LABELS = ("tree", "東京")
ROWS = "inputs,targets\n" + "".join(f"café {i},{LABELS[i % 2]}\n" for i in range(20))


def text(ids: np.ndarray) -> str:
    return (ids - 3).astype(np.uint8).tobytes().decode()


@pytest.fixture
def byt5(tmp_path) -> Path:
    config = write(tmp_path / "byt5", "ByT5", num_layers=1)
    (tmp_path / "byt5" / "model.safetensors").unlink()
    params = random_params(config)
    stored = {huggingface_name(n): np.ascontiguousarray(p.T if is_transposed(n) else p) for n, p in params.items()}
    torch_files.write(tmp_path / "byt5" / "pytorch_model.bin", stored)
    return tmp_path / "byt5"


def test_a_byt5_is_tuned_on_bytes_and_answers(byt5, ptune, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text(ROWS, encoding="utf-8")
    short = ("--steps", "2", "--every.evaluate", "2", "--every.before_training", "false")
    code, _, errors = ptune(*model_folder.train(byt5, Path("run"), "--tasks", "file:rows.csv", *short))
    assert code == 0, errors
    (split,) = ensure([("file:rows.csv", "train")], ByteVocabulary())
    assert text(split.inputs(0)) == "café 0" and text(split.targets(1)) == LABELS[1]
    Path("input").write_text("café 7\n", encoding="utf-8")
    code, answers, errors = ptune("infer", "run", "--input", "input", "--labels", ",".join(LABELS))
    assert code == 0 and json.loads(answers)["prediction"] in LABELS, errors
    code, told, _ = ptune("models", byt5)
    assert code == 0 and "384 embedding rows, vocabulary of 259 pieces" in told
