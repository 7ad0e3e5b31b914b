"""T5X itself reads what ptune writes. Only where T5X is installed: it is not on PyPI, and not among ptune's requirements."""

import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import msgpack
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from ptune_cli.formats import t5x
from ptune_cli.formats.t5x_places import scanned_places
from ptune_cli.formats.t5x_writing import LAYOUTS, writing
from ptune_cli.t5.config import T5Config

pytest.importorskip("t5x", reason="needs T5X: pip install git+https://github.com/google-research/t5x")

pytestmark = [  # of T5X's own event loops and sockets, which it leaves open
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
ORACLE = Path(__file__).parent / "oracles" / "t5x_checkpoints" / "legacy"
PROMPT = np.arange(48, dtype=np.float32).reshape(3, 16)


def golden() -> tuple[T5Config, dict]:
    sizes = json.loads((ORACLE / "meta.json").read_text())["config"]
    return T5Config(**{**sizes, "mlp_activations": tuple(sizes["mlp_activations"])}), sizes


@pytest.fixture(autouse=True)
def broadcasting():
    """T5X's network needs it; the project's tests forbid it."""
    with jax.numpy_rank_promotion("allow"):
        yield


def written(folder: Path, layout: str, dtype: str) -> Path:
    """What T5X wrote, written again by ptune, with a prompt."""
    config, _ = golden()
    with writing(folder, config, dtype, layout, PROMPT, step=1000) as put:
        t5x.read(ORACLE / "ckpt", config, dtype, put)
    return folder


def network(layout: str):
    """T5X's own network that has such a tree: its module and initial variables."""
    if layout.endswith("scanned"):
        from t5x.examples.scalable_t5 import network
    else:
        from t5x.examples.t5 import network
    module = network.Transformer(network.T5Config(**golden()[1]))
    ones = jnp.ones((1, 4), jnp.int32)
    return module, module.init(jax.random.PRNGKey(0), ones, ones, ones, enable_dropout=False)


def restored(folder: Path, layout: str, state, **options):
    """The train state as T5X's checkpointer of that container restores it."""
    from t5x import checkpoints, partitioning

    partitioner = partitioning.PjitPartitioner(num_partitions=1)
    if layout.startswith("legacy"):
        return checkpoints.Checkpointer(state, partitioner, str(folder.parent)).restore(path=str(folder), **options)
    manager = checkpoints.OrbaxCheckpointManagerInterface(str(folder.parent), state, partitioner)
    return manager.restore(path=str(folder), **options)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_t5x_restores_a_network_with_its_own_logits(layout, dtype, tmp_path):
    from t5x import train_state

    folder = written(tmp_path / "checkpoint_1000", layout, dtype)
    module, variables = network(layout)
    state = restored(folder, layout, train_state.InferenceState.create(variables))
    batch = np.load(ORACLE / "logits.npz")
    tokens = [batch[f"{name}_tokens"] for name in ("encoder_input", "decoder_input", "decoder_target")]
    logits = np.asarray(module.apply({"params": state.params}, *tokens, enable_dropout=False, decode=False))
    assert int(state.step) == 1000
    assert {str(p.dtype) for p in jax.tree.leaves(state.params)} == {dtype}
    # 1e-5: other programs of the same float32 operations. bfloat16 rounds weights to 8 bits; logits are up to 4.
    np.testing.assert_allclose(logits, batch["logits"], atol=1e-5 if dtype == "float32" else 0.2, rtol=0)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout.startswith("legacy")])  # it loads no Orbax
def test_t5x_loads_every_array_and_the_prompt_without_a_network(layout, dtype, tmp_path):
    from t5x import checkpoints

    folder = written(tmp_path / "checkpoint_1000", layout, dtype)
    target = flatten_dict(checkpoints.load_t5x_checkpoint(str(folder))["target"], sep="/")
    assert np.array_equal(target.pop("encoder/prompt/prompt/prompt"), PROMPT)
    places = scanned_places(golden()[0])
    expected = {place.array for place in places.values()} if layout.endswith("scanned") else set(places)
    assert set(target) == expected and {str(array.dtype) for array in target.values()} == {dtype}


@pytest.mark.parametrize("layout", ["legacy", "orbax"])
def test_t5x_begins_training_with_new_optimizer_state(layout, tmp_path):
    """As its `fallback_to_scratch` does: what the checkpoint has not comes from the state that training would begin with."""
    from t5x import adafactor, train_state

    folder = written(tmp_path / "checkpoint_1000", layout, "float32")
    module, variables = network(layout)
    state = train_state.FlaxOptimTrainState.create(adafactor.Adafactor(0.1), variables)
    began = restored(folder, layout, state, fallback_state=state.state_dict())
    expected = t5x.read(folder, golden()[0])["token_embedder/embedding"]
    np.testing.assert_array_equal(began.params["token_embedder"]["embedding"], expected)
    assert jax.tree.structure(began.param_states) == jax.tree.structure(state.param_states)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_t5x_writes_such_arrays_itself(dtype, tmp_path):
    """But for the compressor: it writes gzip from one device, as here, and zstd from several. It reads either."""
    from t5x import checkpoints, partitioning, train_state

    ours = written(tmp_path / "ours" / "checkpoint_1000", "legacy", dtype)
    state = train_state.InferenceState.create(network("legacy")[1]).replace_step(jnp.int32(1000))
    partitioner = partitioning.PjitPartitioner(num_partitions=1)
    checkpoints.Checkpointer(state, partitioner, str(tmp_path / "theirs"), save_dtype=jnp.dtype(dtype)).save(state)
    theirs = tmp_path / "theirs" / "checkpoint_1000"
    shutil.rmtree(ours / "target.encoder.prompt.prompt.prompt")
    assert arrays(ours) == arrays(theirs)
    tree, expected = (msgpack.unpackb((f / "checkpoint").read_bytes(), strict_map_key=False) for f in (ours, theirs))
    del tree["optimizer"]["target"]["encoder"]["prompt"]
    assert without_compressors(tree) == without_compressors(expected)


def arrays(folder: Path) -> dict:
    """What describes each array, and the names of its chunks."""
    found = {f.parent: without_compressors(json.loads(f.read_text())) for f in folder.glob("*/.zarray")}
    return {array.name: (about, sorted(f.name for f in array.iterdir())) for array, about in found.items()}


def without_compressors(tree):
    return {k: without_compressors(v) for k, v in tree.items() if k != "compressor"} if isinstance(tree, dict) else tree
