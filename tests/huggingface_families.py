"""A folder of every family that is read: config.json as the family's on the Hub spells it, with the sizes of a toy."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from ptune_cli.formats import huggingface_writing
from ptune_cli.formats.huggingface_config import read_config
from ptune_cli.t5.config import T5Config, parameter_shapes

TOY = {"vocab_size": 24, "d_model": 8, "d_kv": 4, "d_ff": 12, "num_layers": 2, "num_heads": 2}
T5 = {
    **TOY,
    "model_type": "t5",
    "architectures": ["T5ForConditionalGeneration"],
    "decoder_start_token_id": 0,
    "dropout_rate": 0.1,
    "eos_token_id": 1,
    "initializer_factor": 1.0,
    "is_encoder_decoder": True,
    "layer_norm_epsilon": 1e-06,
    "pad_token_id": 0,
    "relative_attention_num_buckets": 32,
    "use_cache": True,
}
T5_1_1 = {**T5, "feed_forward_proj": "gated-gelu", "num_decoder_layers": 3, "tie_word_embeddings": False}
SPELLED_OUT = {
    "dense_act_fn": "gelu_new",
    "is_gated_act": True,
    "classifier_dropout": 0.0,
    "relative_attention_max_distance": 128,
}
MT5 = {**T5_1_1, "model_type": "mt5", "architectures": ["MT5ForConditionalGeneration"], "tokenizer_class": "T5Tokenizer"}
FAMILIES: dict[str, dict[str, Any]] = {
    "T5 1.0": {**T5, "architectures": ["T5WithLMHeadModel"], "n_positions": 512, "output_past": True, "task_specific_params": {}},
    "T5 1.1": T5_1_1,
    "T5 1.1 LM-adapted": {**T5_1_1, "transformers_version": "4.15.0", "torch_dtype": "float32"},
    "FLAN-T5": {**T5_1_1, **SPELLED_OUT, "n_positions": 512, "output_past": True},
    "mT5": {**MT5, "tie_word_embeddings": False},
    "ByT5": {**T5_1_1, "vocab_size": 384, "num_layers": 3, "num_decoder_layers": 1, "tokenizer_class": "ByT5Tokenizer"},
    "umT5": {**MT5, **SPELLED_OUT, "model_type": "umt5", "architectures": ["UMT5ForConditionalGeneration"]},
    "T5 1.1 of transformers 5": {**T5_1_1, **SPELLED_OUT, "tie_word_embeddings": True, "scale_decoder_outputs": False},
    "no feed_forward_proj": {**T5, "dense_act_fn": "gelu_new", "is_gated_act": True, "tie_word_embeddings": False},
    "gated SiLU": {**T5_1_1, "feed_forward_proj": "gated-silu"},
}


def random_params(config: T5Config, dtype: Any = np.float32) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    # Of the size trained weights have, so that logits are of order one and their tolerance means something.
    return {
        name: np.asarray(np.ones(shape) if name.endswith("scale") else rng.normal(size=shape) * shape[0] ** -0.5, dtype)
        for name, shape in parameter_shapes(config).items()
    }


def write(folder: Path, family: str, **changes: Any) -> T5Config:
    """The family's config.json, but for `changes`, and random weights in model.safetensors."""
    folder.mkdir(parents=True, exist_ok=True)
    spelled = json.dumps({**FAMILIES[family], **changes})
    (folder / "config.json").write_text(spelled)
    config = read_config(folder / "config.json")
    huggingface_writing.write(folder, config, random_params(config))
    (folder / "config.json").write_text(spelled)
    return config


def ids_and_targets(size: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Tokens below `size`, with padding: inputs [3, 11] and the decoder's inputs [3, 5]."""
    rng = np.random.default_rng(1)
    ids, target_ids = rng.integers(2, size, (3, 11)), rng.integers(2, size, (3, 5))
    ids[1, 6:] = 0
    target_ids[:, 0] = 0
    return ids.astype(np.int32), target_ids.astype(np.int32)


def transformers_logits(folder: Path, ids: np.ndarray, target_ids: np.ndarray) -> np.ndarray:
    """What `transformers` computes from a folder, in float32, whatever the weights are stored in."""
    import torch
    import transformers

    theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        given = {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(ids > 0)}
        return theirs(**given, decoder_input_ids=torch.tensor(target_ids)).logits.numpy()
