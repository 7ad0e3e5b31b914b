"""Makes what lies beside it; made with torch 2.13 and transformers 5.24.

PYTHONPATH=.:tests python tests/oracles/huggingface/make.py
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from huggingface_families import FAMILIES, ids_and_targets, transformers_logits, write

HERE = Path(__file__).parent


def logits() -> None:
    """logits.json: of every family, with random weights, on the same ids."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for family in FAMILIES:
            config = write(Path(folder) / family, family)
            computed = transformers_logits(Path(folder) / family, *ids_and_targets(config.vocab_size))
            found[family] = np.round(computed[..., :8].astype(float), 6).tolist()
    (HERE / "logits.json").write_text(json.dumps(found) + "\n")


def torch_files() -> None:
    """torch/ and torch_sharded/: the weights of a T5 1.0 as transformers has them in memory, saved by torch; and odd tensors."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), "T5 1.0", num_layers=1)
        settings = (Path(folder) / "config.json").read_text()
        model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float16)
    state = model.state_dict()
    for name in ("torch", "torch_sharded"):
        (HERE / name).mkdir(exist_ok=True)
        (HERE / name / "config.json").write_text(settings + "\n")
    torch.save(state, HERE / "torch" / "pytorch_model.bin")
    shards = {f"pytorch_model-0000{i + 1}-of-00002.bin": list(state)[i::2] for i in range(2)}
    for file, names in shards.items():
        torch.save({name: state[name] for name in names}, HERE / "torch_sharded" / file)
    index = {"metadata": {}, "weight_map": {name: file for file, names in shards.items() for name in names}}
    (HERE / "torch_sharded" / "pytorch_model.bin.index.json").write_text(json.dumps(index) + "\n")
    numbers = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    odd = {
        "turned": numbers.T,
        "rows": numbers[1:3],
        "columns": numbers[:, 1:6:2],
        "parameter": torch.nn.Parameter(numbers[0]),
        "float64": numbers.double(),
        "bfloat16": numbers.bfloat16(),
        "scalar": numbers[2, 3],
        "empty": torch.zeros(0, 6),
        "whole": torch.arange(3),
    }
    torch.save(odd, HERE / "odd.bin")
    torch.save(odd, HERE / "odd_protocol_4.bin", pickle_protocol=4)
    torch.save({"turned": numbers.T}, HERE / "legacy.bin", _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    logits()
    torch_files()
