"""Each way to start a prompt, on a vocabulary of a dozen words and a random table."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ptune_cli.base_model import BaseModel
from ptune_cli.commands.prompt_tuning import first_prompt
from ptune_cli.errors import UserError
from ptune_cli.prompts import init
from ptune_cli.prompts.bank import Member, Prompt
from tasks import catalog

PIECES = ["<pad>", "</s>", "<unk>", "true", "fal", "se", "not", "_", "equi", "valent", "the", "cat"]
EMBEDDINGS = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
KEY = jax.random.key(0)


@dataclass
class Vocabulary:
    """Splits words into the longest pieces, and spells with <unk> what has none."""

    unk_id: int = 2

    def encode(self, text):
        ids = []
        for word in text.split():
            while word:
                piece = max((p for p in PIECES[3:] if word.startswith(p)), key=len, default=word)
                ids.append(PIECES.index(piece) if piece in PIECES else self.unk_id)
                word = word.removeprefix(piece)
        return ids


def make(initializer, length, key=KEY, embeddings=EMBEDDINGS):
    prompt = initializer(key, length, embeddings, Vocabulary())
    assert prompt.shape == (length, embeddings.shape[1])
    assert prompt.dtype == jnp.float32
    return np.asarray(prompt)


def rows_of(prompt):
    """The id of the embedding that each row is, or -1."""
    return [next((i for i, row in enumerate(EMBEDDINGS) if np.array_equal(row, p)), -1) for p in prompt]


def test_uniform_covers_its_range():
    code, paper = make(init.Uniform(), 1000), make(init.Uniform(low=-0.5, high=0.5), 1000)
    # 8,000 draws come within 1% of the range of its ends, but for one chance in 1e34.
    assert 0 <= code.min() < 0.005
    assert 0.495 < code.max() < 0.5
    assert -0.5 <= paper.min() < -0.49
    assert 0.49 < paper.max() < 0.5


def test_sampled_rows_are_of_the_population_and_never_twice():
    for seed in range(20):
        ids = rows_of(make(init.SampledVocabulary(population=12), 10, jax.random.key(seed)))
        assert len(set(ids)) == 10
        assert set(ids) <= set(range(12))


def test_a_sample_of_the_whole_population_is_a_permutation():
    assert sorted(rows_of(make(init.SampledVocabulary(population=12), 12))) == list(range(12))


def test_a_table_smaller_than_the_population_is_sampled_whole():
    assert sorted(rows_of(make(init.SampledVocabulary(population=5000), 40))) == list(range(40))


@pytest.mark.parametrize("population", [3, 5000])
def test_a_prompt_longer_than_the_population_is_refused(population):
    with pytest.raises(UserError, match="SampledVocabulary needs 41 different tokens"):
        make(init.SampledVocabulary(population=population), 41)


def test_class_label_rows_are_means_of_their_tokens():
    prompt = make(init.ClassLabels(("true", "false", "not_equivalent")), 10)
    for row, ids in zip(prompt, ([3], [4, 5], [6, 7, 8, 9]), strict=False):
        # The mean of at most four float32 numbers, summed in any order.
        np.testing.assert_allclose(row, EMBEDDINGS[ids].mean(axis=0), rtol=1e-6, atol=1e-7)


def test_rows_left_by_labels_are_sampled_without_replacement():
    labels = ("true", "false")
    filled = rows_of(make(init.ClassLabels(labels, rest=init.SampledVocabulary(population=9)), 10)[2:])
    assert len(set(filled)) == 8
    assert set(filled) <= set(range(9))
    uniform = make(init.ClassLabels(labels, rest=init.Uniform()), 10)[2:]
    assert 0 <= uniform.min() < uniform.max() < 0.5


def test_as_many_labels_as_rows_need_no_rest():
    np.testing.assert_array_equal(make(init.ClassLabels(("true", "cat")), 2), EMBEDDINGS[[3, 11]])


def test_a_prompt_shorter_than_the_labels_takes_the_first():
    np.testing.assert_array_equal(make(init.ClassLabels(("true", "cat", "the")), 1), EMBEDDINGS[[3]])
    np.testing.assert_array_equal(make(init.ClassLabels(("true", "cat", "the")), 2), EMBEDDINGS[[3, 11]])


def test_string_rows_are_its_tokens():
    prompt = make(init.String("the cat not_equivalent"), 10)
    np.testing.assert_array_equal(prompt[:6], EMBEDDINGS[[10, 11, 6, 7, 8, 9]])
    assert -1 not in rows_of(prompt[6:])


@pytest.mark.parametrize(
    ("initializer", "words"),
    [
        (init.ClassLabels(()), "no labels"),
        (init.ClassLabels(("true", "")), "class label '' does not tokenise: it encodes to no token"),
        (init.ClassLabels(("true", "  ")), "class label '  ' does not tokenise"),
        (init.ClassLabels(("dog",)), r"class label 'dog' does not tokenise: it encodes to \[2\], where 2 is <unk>"),
        (init.ClassLabels(("true", "cat", "dog")), "class label 'dog' does not tokenise"),
        (init.ClassLabels(("not_dog",)), r"class label 'not_dog' does not tokenise: it encodes to \[6, 7, 2\]"),
        (init.String(""), "string '' does not tokenise"),
        (init.String("dog"), "string 'dog' does not tokenise"),
        (init.String("the cat true"), "has 3 tokens for a prompt of 2 rows"),
        (init.Uniform(low=0.5, high=0.5), "low 0.5 is not below high 0.5"),
    ],
)
def test_what_cannot_fill_a_prompt_is_refused_in_one_line(initializer, words):
    with pytest.raises(UserError, match=words) as error:
        make(initializer, 2)
    assert "\n" not in str(error.value)


INITIALIZERS = [init.Uniform(), init.SampledVocabulary(), init.ClassLabels(("true", "cat")), init.String("the cat")]


@pytest.mark.parametrize("initializer", INITIALIZERS, ids=lambda i: type(i).__name__)
def test_a_prompt_depends_on_its_own_key_only(initializer):
    keys = {name: jax.random.fold_in(KEY, seed) for seed, name in enumerate(["a", "b", "c"])}
    bank = {name: make(initializer, 6, key) for name, key in keys.items()}
    np.testing.assert_array_equal(bank["b"], make(initializer, 6, keys["b"]))
    assert not np.array_equal(bank["a"], bank["b"])


@pytest.mark.parametrize("initializer", INITIALIZERS, ids=lambda i: type(i).__name__)
def test_a_table_on_the_device_or_in_bfloat16_gives_the_same_rows(initializer):
    on_host = make(initializer, 6)
    np.testing.assert_array_equal(on_host, make(initializer, 6, embeddings=jnp.asarray(EMBEDDINGS)))
    halves = jnp.asarray(EMBEDDINGS, jnp.bfloat16)
    expected = make(initializer, 6, embeddings=np.asarray(halves, np.float32))
    np.testing.assert_array_equal(make(initializer, 6, embeddings=halves), expected)


def test_a_file_gives_its_array_exactly(tmp_path):
    np.save(tmp_path / "prompt.npy", EMBEDDINGS[:5])
    np.testing.assert_array_equal(make(init.FromFile(str(tmp_path / "prompt.npy")), 5), EMBEDDINGS[:5])


@pytest.mark.parametrize(("length", "width"), [(6, 8), (5, 4)])
def test_a_file_of_another_shape_is_refused_with_both_shapes(tmp_path, length, width):
    np.save(tmp_path / "prompt.npy", EMBEDDINGS[:5])
    with pytest.raises(UserError, match=rf"has shape \(5, 8\) and this run needs \({length}, {width}\)"):
        make(init.FromFile(str(tmp_path / "prompt.npy")), length, embeddings=EMBEDDINGS[:, :width])


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="nothing.npy"):
        make(init.FromFile(str(tmp_path / "nothing.npy")), 5)


def test_a_task_in_the_form_of_span_corruption_starts_from_the_same_labels():
    """Its labels begin with a sentinel, which is no part of a class."""
    frozen = BaseModel(checkpoint="nano").load()
    plain, form = (
        first_prompt(Member("m", task, 3, Prompt(length=20)), catalog.lookup(task).labels, frozen)
        for task in ("gloss_topic", "gloss_topic_1_sentinel")
    )
    np.testing.assert_array_equal(plain, form)
