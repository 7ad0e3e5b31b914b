"""T5X as a runtime: our network behind its interface, its axes, the prompt's start, the gin files. No T5X is needed for these."""

import dataclasses
import importlib.util
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from flax.linen.partitioning import get_axis_names
from flax.traverse_util import flatten_dict

from ptune_cli.config import reading, search, settings
from ptune_cli.config.reading import Name
from ptune_cli.errors import UserError
from ptune_cli.formats import t5x
from ptune_cli.prompts.bank import vectors
from ptune_cli.prompts.init import ClassLabels, FromFile, SampledVocabulary, Uniform, first_key
from ptune_cli.t5.config import parameter_shapes
from ptune_cli.t5.model import T5
from ptune_cli.t5x_runtime.axes import params_axes
from ptune_cli.t5x_runtime.first_prompt import FirstPrompt
from ptune_cli.t5x_runtime.network import Transformer
from tasks import pieces

LENGTH = 3
PROMPT = "encoder/prompt/prompt/prompt"
GIN = search.SHIPPED
CHECKPOINT = str(Path(__file__).parent / "oracles" / "t5x_checkpoints" / "legacy" / "ckpt")
AXES = Path(__file__).parent / "oracles" / "t5x_axes.json"
FILES = sorted(path.relative_to(GIN).as_posix() for path in GIN.glob("t5x/*.gin"))


CONFIG = tiny.config(num_encoder_layers=1)
FROZEN = tiny.weights(CONFIG)
TABLE = jnp.asarray(np.random.default_rng(3).normal(size=(LENGTH, CONFIG.emb_dim)), jnp.float32)
ENCODER = {**FROZEN["encoder"], "prompt": {"prompt": {"prompt": TABLE}}}
VARIABLES = {"params": {**FROZEN, "encoder": ENCODER}}


def network(**sizes) -> Transformer:
    return Transformer(dataclasses.replace(CONFIG, **sizes), LENGTH, nn.initializers.normal(1.0))


def ids(seed: int, *shape: int) -> jax.Array:
    """Token ids, of which the last of the first row are padding."""
    return jnp.asarray(np.random.default_rng(seed).integers(3, 64, shape)).at[0, -2:].set(0)


INPUTS, TARGETS = ids(0, 2, 6), ids(1, 2, 4)
BEFORE = jnp.pad(TARGETS, ((0, 0), (1, 0)))[:, :-1]


def test_parameters_are_t5s_and_the_prompt_where_the_original_code_has_it():
    """Initialised as T5X does it: from token ids in float32, under a trace."""
    inputs, targets = jnp.ones((2, 6)), jnp.ones((2, 4))
    made = jax.eval_shape(lambda key: network().init(key, inputs, targets, targets, enable_dropout=False), jax.random.PRNGKey(0))
    shapes = {name: leaf.shape for name, leaf in flatten_dict(made["params"], sep="/").items()}
    assert shapes == {**parameter_shapes(CONFIG), PROMPT: TABLE.shape}


def test_logits_are_those_of_t5_with_the_prompt_in_slots():
    model, slots = T5(CONFIG), jnp.broadcast_to(-1 - jnp.arange(LENGTH), (2, LENGTH))
    with_slots = jnp.concatenate([slots, INPUTS], axis=1)
    segments, target_segments = (with_slots != 0).astype(jnp.int32), (TARGETS > 0).astype(jnp.int32)

    @jax.jit
    def expected():
        def apply(method, *args):
            return model.apply({"params": FROZEN}, *args, method=method)

        memory = apply("encode", vectors(lambda tokens: apply("embed", tokens), TABLE, with_slots), segments)
        return apply("decode", apply("embed", BEFORE), memory, target_segments, segments)

    logits = jax.jit(lambda: network().apply(VARIABLES, INPUTS, BEFORE, TARGETS, enable_dropout=False))()
    np.testing.assert_allclose(logits, expected(), rtol=0, atol=1e-5)


def test_decoding_through_the_cache_equals_all_targets_at_once():
    """As T5X does it: an empty cache from a call with `decode`, then one token at a time."""
    net, targets = network(), jnp.ones_like(TARGETS)
    expected = jax.jit(lambda: net.apply(VARIABLES, INPUTS, BEFORE, targets, enable_dropout=False))()
    _, made = net.apply(VARIABLES, INPUTS, BEFORE, targets, enable_dropout=False, decode=True, mutable=["cache"])
    memory = jax.jit(lambda: net.apply(VARIABLES, INPUTS, enable_dropout=False, method=net.encode))()
    logits = []

    @jax.jit
    def one(cache, token):
        call = dict(enable_dropout=False, decode=True, max_decode_length=4, mutable=["cache"], method=net.decode)
        return net.apply({**VARIABLES, "cache": cache}, memory, INPUTS, token, token, **call)

    for t in range(TARGETS.shape[1]):
        step, made = one(made["cache"], BEFORE[:, t : t + 1])
        logits.append(step)
    np.testing.assert_allclose(jnp.concatenate(logits, axis=1), expected, rtol=0, atol=1e-4)
    assert made["cache"]["cache_index"] == TARGETS.shape[1]


@pytest.mark.parametrize("make", [jax.random.PRNGKey, jax.random.key])
def test_dropout_follows_t5xs_key_and_drops_each_example_on_its_own(make):
    same, net = jnp.broadcast_to(INPUTS[1], INPUTS.shape), network(dropout_rate=0.5)
    memory = jax.jit(lambda key: net.apply(VARIABLES, same, rngs={"dropout": key}, method=net.encode))
    first = memory(make(0))
    np.testing.assert_array_equal(first, memory(make(0)))
    assert not np.allclose(first, memory(make(1)))
    assert not np.allclose(first[0], first[1])


def test_packed_inputs_are_refused():
    with pytest.raises(UserError, match="packed.*pack = False"):
        network().apply(VARIABLES, INPUTS, BEFORE, TARGETS, encoder_segment_ids=INPUTS, enable_dropout=False)


def axes(net: Transformer) -> dict[str, tuple]:
    """{name: (shape, logical axes)} of a network's parameters."""
    made = jax.eval_shape(net.init, jax.random.key(0), INPUTS, TARGETS, TARGETS)["params"]
    names = flatten_dict(get_axis_names(params_axes(made)), sep="/")
    return {name: (leaf.shape, tuple(names[name])) for name, leaf in flatten_dict(made, sep="/").items()}


def test_logical_axes_are_those_of_t5xs_own_network():
    expected = json.loads(AXES.read_text())["parameters"]
    sizes = dict(vocab_size=128, num_heads=4, num_encoder_layers=2, num_decoder_layers=2)
    own = axes(network(**sizes))
    assert own.pop(PROMPT) == ((LENGTH, 16), ("prompt", "prompt_embed"))
    assert own == {name: (tuple(shape), tuple(names)) for name, (shape, names) in expected.items()}


def test_a_t5_1_0_has_logical_axes_too():
    own = axes(network(mlp_activations=("relu",), logits_via_embedding=True))
    assert own["encoder/layers_0/mlp/wi/kernel"] == ((16, 32), ("embed", "mlp"))


@pytest.mark.parametrize(
    "init", [Uniform(), SampledVocabulary(), ClassLabels(("dog", "people"))], ids=lambda init: type(init).__name__
)
def test_a_prompt_begins_under_t5xs_jit_as_it_does_in_ptune(init):
    """The same seed, the same rows: of the checkpoint's embeddings where they are read."""

    class Vocabulary:
        unk_id = 2

        def encode(self, text):
            return [len(text), 7]

    embeddings = t5x.read_array(CHECKPOINT, "token_embedder/embedding")
    start = FirstPrompt(init, seed=4, checkpoint=CHECKPOINT, vocabulary=Vocabulary())
    expected = init(first_key(4), 5, embeddings, Vocabulary())
    with jax.default_prng_impl("unsafe_rbg"):  # T5X's, where no seed is given
        made = jax.jit(lambda key: start(key, (5, 16)))(jax.random.PRNGKey(0))
    np.testing.assert_array_equal(made, expected)


def test_a_prompt_begins_as_a_file_has_it(tmp_path):
    np.save(tmp_path / "prompt.npy", np.arange(8.0, dtype=np.float32).reshape(2, 4))
    start = FirstPrompt(FromFile(str(tmp_path / "prompt.npy")))
    np.testing.assert_array_equal(start(jax.random.key(0), (2, 4)), np.arange(8.0).reshape(2, 4))
    with pytest.raises(UserError, match="shape"):
        start(jax.random.key(0), (3, 4))


def test_a_start_from_embeddings_asks_for_a_checkpoint():
    with pytest.raises(UserError, match="SampledVocabulary.*PROMPT_EMBEDDINGS"):
        FirstPrompt(SampledVocabulary())(jax.random.key(0), (3, 16))


def test_an_array_that_a_checkpoint_does_not_hold_is_named():
    with pytest.raises(UserError, match="no token_embedder/embeding; did you mean 'token_embedder/embedding'"):
        t5x.read_array(CHECKPOINT, "token_embedder/embeding")


def used(value) -> list[str]:
    """The names behind @ in a value."""
    if isinstance(value, list | tuple | dict):
        return [name for item in (value.values() if isinstance(value, dict) else value) for name in used(item)]
    return [value.text] if isinstance(value, Name) else []


@pytest.mark.parametrize("name", FILES)
def test_gin_files_for_t5x_say_only_what_ptune_has(name):
    """Names of ours exist and take what is bound to them. T5X's, and what derives from them, are for a T5X to check."""
    said = list(reading.statements(GIN / name))
    modules = {(found.alias or found.module.rpartition(".")[2]): found.module for found in said if hasattr(found, "module")}
    bound = [(found.selector, found.arg_name, found.value) for found in said if hasattr(found, "arg_name")]
    for selector, field in [(s, f) for s, f, _ in bound if f] + [(n, "") for *_, value in bound for n in used(value)]:
        alias, _, attribute = selector.partition(".")
        assert alias in modules, f"{selector} is not imported"
        if not modules[alias].startswith("ptune_cli."):
            continue
        source = Path(importlib.util.find_spec(modules[alias]).origin).read_text()
        assert re.search(rf"^(class|def) {attribute}\b", source, re.MULTILINE), f"no {selector}"
        if field and "from t5x import" not in source:
            assert field in inspect.signature(getattr(importlib.import_module(modules[alias]), attribute)).parameters


@pytest.mark.parametrize("name", FILES)
def test_gin_files_for_t5x_include_what_is_there(name):
    """Files of ours, and three of T5X's."""
    included = [found.filename for found in reading.statements(GIN / name) if hasattr(found, "filename")]
    theirs = {f"t5x/configs/runs/{run}.gin" for run in ("finetune", "eval", "infer")}
    assert all((GIN / file).is_file() or file in theirs for file in included)


@pytest.mark.parametrize("size", ["small", "base", "large", "xl", "xxl"])
def test_sizes_for_t5x_are_those_for_ptune(size):
    ptune = settings.of_file(f"models/t5_1_1_{size}.gin", "ptune_cli.base_model.BaseModel")
    fields = {"EMBED_DIM": "emb_dim", "NUM_HEADS": "num_heads", "HEAD_DIM": "head_dim", "MLP_DIM": "mlp_dim"}
    fields |= {"NUM_ENCODER_LAYERS": "num_encoder_layers", "NUM_DECODER_LAYERS": "num_decoder_layers"}
    macros = {found.selector: found.value for found in reading.statements(GIN / f"t5x/{size}.gin") if hasattr(found, "arg_name")}
    assert macros == {macro: ptune[f"config.{field}"] for macro, field in fields.items()}


def test_the_vocabulary_for_t5x_is_that_of_the_tasks():
    """T5X compares the two settings, and refuses a task whose vocabulary has others."""
    said = {(s.selector, s.arg_name): s.value for s in reading.statements(GIN / "t5x/prompt_model.gin") if hasattr(s, "arg_name")}
    assert said["vocabulary.vocabulary", "place"] == pieces.T5


def test_the_folder_for_t5xs_search_paths_is_printed():
    done = subprocess.run([sys.executable, "-m", "ptune_cli.t5x_runtime"], capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip(), "t5x", "prompt_finetune.gin").is_file()
