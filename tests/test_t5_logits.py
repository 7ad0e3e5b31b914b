"""The whole way from T5X's files to logits: what ptune computes from a checkpoint is what T5X computed."""

import json
from pathlib import Path

import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

from ptune_cli.formats import t5x
from ptune_cli.t5.config import T5Config
from ptune_cli.t5.model import T5

ORACLES = Path(__file__).parent / "oracles" / "t5x_checkpoints"


@pytest.mark.parametrize("name", ["legacy", "legacy_scan", "legacy_gcs_gzip", "orbax"])
def test_logits_equal_t5x_on_its_own_checkpoints(name):
    sizes = json.loads((ORACLES / name / "meta.json").read_text())["config"]
    sizes["relative_bias_per_layer"] = name == "legacy_scan"
    config = T5Config(**{**sizes, "mlp_activations": tuple(sizes["mlp_activations"])})
    params = {"params": unflatten_dict(t5x.read(ORACLES / name / "ckpt", config), sep="/")}
    expected = np.load(ORACLES / name / "logits.npz")
    model, ids, targets = T5(config), expected["encoder_input_tokens"], expected["decoder_target_tokens"]
    segments, target_segments = (ids > 0).astype(np.int32), (targets > 0).astype(np.int32)

    memory = model.apply(params, model.apply(params, ids, method="embed"), segments, method="encode")
    inputs = model.apply(params, expected["decoder_input_tokens"], method="embed")
    logits = np.asarray(model.apply(params, inputs, memory, target_segments, segments, method="decode"))

    assert logits.dtype == np.float32
    # 1e-5: the same float32 operations, which a compiler may order otherwise; logits are up to 4
    np.testing.assert_allclose(logits[targets > 0], expected["logits"][targets > 0], atol=1e-5, rtol=0)
