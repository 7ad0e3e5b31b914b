"""Writes what is in this folder: adapters that Hugging Face's PEFT saved, and what it answered with them.

Run where torch, transformers and peft are, from the repository: PYTHONPATH=.:tests python tests/oracles/peft/make.py
The models are those of tests/peft_case.py, the prompts random. The files here were made by peft 0.21.2, transformers 5.24.0 and
torch 2.13.0.
"""

import json
import tempfile
from pathlib import Path

import peft
import peft_live
import torch
import transformers
from peft_case import PROMPT_LENGTH, SIZES

HERE = Path(__file__).parent


def main() -> None:
    found: dict = {"versions": {module.__name__: module.__version__ for module in (peft, transformers, torch)}}
    for name in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            model = peft_live.untrained(peft_live.base(name, Path(folder)), num_virtual_tokens=PROMPT_LENGTH)
        model.peft_config["default"].base_model_name_or_path = name
        model.save_pretrained(HERE / name)
        model.save_pretrained(HERE / f"{name}_pickled", safe_serialization=False)
        for card in HERE.glob("*/README.md"):
            card.unlink()
        likelihoods = peft_live.log_likelihoods(model).astype(float).round(5).tolist()
        found[name] = {"generated": peft_live.generated(model), "log_likelihoods": likelihoods}
    (HERE / "answers.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
