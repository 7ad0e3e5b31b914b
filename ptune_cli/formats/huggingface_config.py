"""Hugging Face's config.json of a T5, to and from T5Config."""

import json
from pathlib import Path
from typing import Any

from ptune_cli.errors import UserError, nearest
from ptune_cli.formats.strict import damaged
from ptune_cli.t5.config import T5Config

SIZES = {  # ours: Hugging Face's
    "vocab_size": "vocab_size",
    "emb_dim": "d_model",
    "num_heads": "num_heads",
    "head_dim": "d_kv",
    "mlp_dim": "d_ff",
    "num_encoder_layers": "num_layers",
    "num_decoder_layers": "num_decoder_layers",
    "relative_buckets": "relative_attention_num_buckets",
    "relative_max_distance": "relative_attention_max_distance",
}
ACTIVATIONS = {"relu": ("relu",), "gated-gelu": ("gelu", "linear"), "gated-silu": ("silu", "linear")}
MODEL_TYPES = ("t5", "mt5")
FIXED = {"layer_norm_epsilon": 1e-6, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}  # T5's, and ours
# What the first files of T5 1.0, written before these settings existed, leave out
DEFAULTS = {
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
    "feed_forward_proj": "relu",
    "dropout_rate": 0.1,
}


def read_config(file: Path) -> T5Config:
    """The sizes in a config.json. Raises UserError, naming the setting, for a model that is not T5 1.0, 1.1 or mT5."""
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise damaged(file, error) from error
    if not isinstance(settings, dict) or settings.get("model_type") not in MODEL_TYPES:
        given = settings.get("model_type") if isinstance(settings, dict) else settings
        raise UserError(f"{file} is of model_type {given!r}, expected T5", nearest(str(given), MODEL_TYPES))
    settings = {**DEFAULTS, "num_decoder_layers": settings.get("num_layers"), **_given(settings)}
    for name, value in FIXED.items():
        if settings.get(name, value) != value:
            raise UserError(f"{file} has {name} {settings[name]}, expected T5's {value}")
    feed_forward, dropout_rate = str(settings["feed_forward_proj"]), settings["dropout_rate"]
    if feed_forward not in ACTIVATIONS:
        raise UserError(f"{file} has feed_forward_proj {feed_forward!r}", nearest(feed_forward, ACTIVATIONS))
    if not isinstance(dropout_rate, int | float) or not 0 <= dropout_rate < 1:
        raise UserError(f"{file} has dropout_rate {dropout_rate!r}, expected a number from 0 to 1")
    sizes: dict[str, Any] = {ours: _size(settings, theirs, file) for ours, theirs in SIZES.items()}
    return T5Config(
        **sizes,
        mlp_activations=ACTIVATIONS[feed_forward],
        logits_via_embedding=_ties_logits(settings),
        dropout_rate=float(dropout_rate),
    )


def config_json(config: T5Config, dtype: str) -> bytes:
    """The config.json that makes `transformers` build this model, with its weights as `dtype`."""
    feed_forward = {activations: name for name, activations in ACTIVATIONS.items()}.get(config.mlp_activations)
    if feed_forward is None:
        raise UserError(f"Hugging Face's T5 has no MLP of {config.mlp_activations}", "keep this model in T5X's format")
    settings = {
        "architectures": ["T5ForConditionalGeneration"],
        "model_type": "t5",
        "is_encoder_decoder": True,
        **{theirs: getattr(config, ours) for ours, theirs in SIZES.items()},
        **FIXED,
        "feed_forward_proj": feed_forward,
        "tie_word_embeddings": config.logits_via_embedding,
        "dropout_rate": config.dropout_rate,
        "torch_dtype": dtype,
    }
    return (json.dumps(settings, indent=2) + "\n").encode()


def _given(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}


def _size(settings: dict[str, Any], name: str, file: Path) -> int:
    value = settings.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(f"{file} has {name} {value!r}, expected a positive whole number")
    return value


def _ties_logits(settings: dict[str, Any]) -> bool:
    # transformers 5 writes tie_word_embeddings true for every T5, and the truth in scale_decoder_outputs; mT5 never ties.
    if settings["model_type"] == "mt5":
        return False
    return bool(settings.get("scale_decoder_outputs", settings.get("tie_word_embeddings", True)))
