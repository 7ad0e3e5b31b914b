"""The whole way from T5X's files to logits: what ptune computes from a checkpoint is what T5X computed."""

import json
from pathlib import Path

import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

from ptune_cli.formats import t5x
from ptune_cli.formats.t5x_writing import writing
from ptune_cli.t5.config import T5Config
from ptune_cli.t5.model import T5

ORACLES = Path(__file__).parent / "oracles" / "t5x_checkpoints"


def configuration(name: str) -> T5Config:
    sizes = json.loads((ORACLES / name / "meta.json").read_text())["config"]
    sizes["relative_bias_per_layer"] = name == "legacy_scan"
    return T5Config(**{**sizes, "mlp_activations": tuple(sizes["mlp_activations"])})


def assert_logits_are_t5x(checkpoint: Path, name: str) -> None:
    """The checkpoint gives the logits that T5X had from its own, of that name."""
    config = configuration(name)
    params = {"params": unflatten_dict(t5x.read(checkpoint, config), sep="/")}
    expected = np.load(ORACLES / name / "logits.npz")
    model, ids, targets = T5(config), expected["encoder_input_tokens"], expected["decoder_target_tokens"]
    segments, target_segments = (ids > 0).astype(np.int32), (targets > 0).astype(np.int32)

    memory = model.apply(params, model.apply(params, ids, method="embed"), segments, method="encode")
    inputs = model.apply(params, expected["decoder_input_tokens"], method="embed")
    logits = np.asarray(model.apply(params, inputs, memory, target_segments, segments, method="decode"))

    assert logits.dtype == np.float32
    # 1e-5: the same float32 operations, which a compiler may order otherwise; logits are up to 4
    np.testing.assert_allclose(logits[targets > 0], expected["logits"][targets > 0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["legacy", "legacy_scan", "legacy_gcs_gzip", "orbax"])
def test_logits_equal_t5x_on_its_own_checkpoints(name):
    assert_logits_are_t5x(ORACLES / name / "ckpt", name)


@pytest.mark.parametrize("name, layout", [("legacy", "orbax_scanned"), ("legacy_scan", "legacy_scanned")])
def test_logits_equal_t5x_on_checkpoints_that_ptune_wrote_of_its(name, layout, tmp_path):
    config = configuration(name)
    with writing(tmp_path / "checkpoint_1000", config, "float32", layout) as put:
        t5x.read(ORACLES / name / "ckpt", config, put=put)
    assert_logits_are_t5x(tmp_path, name)
