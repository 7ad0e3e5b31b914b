"""Makes what lies beside it; made with torch 2.13 and transformers 5.24.

PYTHONPATH=.:tests python tests/oracles/huggingface/make.py
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import sentencepiece
import torch
import transformers
from difficult_texts import PLAIN, SHARED
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


def tokenizers() -> None:
    """tokenizer/: a SentencePiece model with a small table of characters, its tokenizer.json, and the ids of difficult texts."""
    folder = HERE / "tokenizer"
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").unlink(missing_ok=True)  # an old one would be taken instead of the model
    with tempfile.TemporaryDirectory() as scratch:
        rules = Path(scratch) / "rules.tsv"
        # A is a; an accent stands apart; kinds of white space are a space; U+200B is nothing; a ligature is two letters
        rules.write_text("41\t61\nE9\t65 301\nA0\t20\n9\t20\nA\t20\n2028\t20\n200B\t\nFB01\t66 69\n")
        with open(folder / "spiece.model", "wb") as file:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(["the animal ran across the field", "a bird that swims, naïve e\u0301 fi 東京"] * 5),
                model_writer=file,
                vocab_size=60,
                hard_vocab_limit=False,
                normalization_rule_tsv=str(rules),
                **{"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1, "minloglevel": 2},
            )
    theirs = transformers.T5Tokenizer.from_pretrained(str(folder))
    theirs.backend_tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    by_bytes = transformers.ByT5Tokenizer()
    found = {"T5": {text: theirs(text).input_ids for text in SHARED}, "ByT5": {text: by_bytes(text).input_ids for text in PLAIN}}
    (HERE / "ids.json").write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    logits()
    torch_files()
    tokenizers()
