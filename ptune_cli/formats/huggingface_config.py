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
DENSE = {"relu": "relu", "gelu_new": "gelu", "silu": "silu"}  # Hugging Face's names of activations: ours
MODEL_TYPES = ("t5", "mt5", "umt5")
FIXED = {"layer_norm_epsilon": 1e-6, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}  # T5's, and ours
# What the first files of T5 1.0, written before these settings existed, leave out
DEFAULTS = {"relative_attention_num_buckets": 32, "relative_attention_max_distance": 128, "dropout_rate": 0.1}
MOST_LAYERS, LARGEST = 1000, 2**31 - 1  # beyond all there are; a damaged file's are not worked with
SHOWN = 80  # characters of a value in a message


def read_config(file: Path) -> T5Config:
    """The sizes in a config.json of T5 1.0, T5 1.1 (LM-adapted, FLAN-T5, ByT5), mT5 or umT5.

    Raises UserError, naming the setting, for another model.
    """
    settings = _settings(file)
    settings = {**DEFAULTS, "num_decoder_layers": settings.get("num_layers"), **_given(settings)}
    for name, value in FIXED.items():
        if settings.get(name, value) != value:
            raise UserError(f"{file} has {name} {_short(settings[name])}, expected T5's {value}")
    dropout_rate = settings["dropout_rate"]
    if not isinstance(dropout_rate, int | float) or not 0 <= dropout_rate < 1:
        raise UserError(f"{file} has dropout_rate {_short(dropout_rate)}, expected a number from 0 to 1")
    sizes: dict[str, Any] = {ours: _size(settings, theirs, file) for ours, theirs in SIZES.items()}
    return T5Config(
        **sizes,
        mlp_activations=_activations(settings, file),
        logits_via_embedding=_ties_logits(settings),
        dropout_rate=float(dropout_rate),
        relative_bias_per_layer=settings["model_type"] == "umt5",
    )


def stores_one_table(file: Path) -> bool:
    """Whether the logits' kernel may be left out of the weights, being the embedding: transformers 5 has made them one."""
    return _settings(file).get("tie_word_embeddings") is True


def config_json(config: T5Config, dtype: str) -> bytes:
    """The config.json that makes `transformers` build this model, with its weights as `dtype`."""
    feed_forward = {activations: name for name, activations in ACTIVATIONS.items()}.get(config.mlp_activations)
    if feed_forward is None:
        raise UserError(f"Hugging Face's T5 has no MLP of {config.mlp_activations}", "keep this model in T5X's format")
    settings = {
        "architectures": [f"{'UM' if config.relative_bias_per_layer else ''}T5ForConditionalGeneration"],
        "model_type": "umt5" if config.relative_bias_per_layer else "t5",
        "is_encoder_decoder": True,
        **{theirs: getattr(config, ours) for ours, theirs in SIZES.items()},
        **FIXED,
        "feed_forward_proj": feed_forward,
        "tie_word_embeddings": config.logits_via_embedding,
        "dropout_rate": config.dropout_rate,
        "torch_dtype": dtype,
    }
    return (json.dumps(settings, indent=2) + "\n").encode()


def _settings(file: Path) -> dict[str, Any]:
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(file, error) from error
    if not isinstance(settings, dict) or settings.get("model_type") not in MODEL_TYPES:
        given = settings.get("model_type") if isinstance(settings, dict) else settings
        raise UserError(f"{file} is of model_type {_short(given)}, expected T5", nearest(_short(given).strip("'"), MODEL_TYPES))
    return settings


def _short(value: Any) -> str:
    return repr(value)[:SHOWN] if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"


def _given(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}


def _size(settings: dict[str, Any], name: str, file: Path) -> int:
    value, largest = settings.get(name), MOST_LAYERS if name.endswith("_layers") else LARGEST
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= largest:
        raise UserError(f"{file} has {name} {_short(value)}, expected a whole number from 1 to {largest:,}")
    return value


def _activations(settings: dict[str, Any], file: Path) -> tuple[str, ...]:
    """Those of the MLP. As in `transformers`, `dense_act_fn` and `is_gated_act` come before `feed_forward_proj`."""
    default = "relu" if settings["model_type"] == "t5" else "gated-gelu"
    spelled = str(settings.get("feed_forward_proj", default))
    implied = "gelu_new" if spelled == "gated-gelu" else spelled.removeprefix("gated-")
    dense, gated = str(settings.get("dense_act_fn", implied)), settings.get("is_gated_act", spelled.startswith("gated-"))
    if dense in DENSE:
        return (DENSE[dense], "linear") if gated else (DENSE[dense],)
    if "dense_act_fn" in settings:
        raise UserError(f"{file} has dense_act_fn {dense[:SHOWN]!r}", nearest(dense[:SHOWN], DENSE))
    raise UserError(f"{file} has feed_forward_proj {spelled[:SHOWN]!r}", nearest(spelled[:SHOWN], ACTIVATIONS))


def _ties_logits(settings: dict[str, Any]) -> bool:
    """Whether logits are made with the embedding and scaled by its width, as T5 1.0 does."""
    # transformers 5 writes tie_word_embeddings true for every T5, and the truth in scale_decoder_outputs; mT5 never scales.
    if settings["model_type"] == "mt5":
        return False
    return bool(settings.get("scale_decoder_outputs", settings.get("tie_word_embeddings", True)))
