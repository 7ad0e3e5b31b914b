"""Pre-training as seqio tasks: nothing of a document is lost, and a seed says what is hidden; targets with a sentinel."""

from pathlib import Path

import pytest

from ptune_cli.data.vocabulary import Vocabulary
from tasks import catalog
from tasks.metrics import METRICS
from tasks.postprocessors import POSTPROCESSORS, hidden

TINY = Path(__file__).parent / "data" / "tiny.spiece.model"
VOCABULARY = Vocabulary(TINY)
EOS = VOCABULARY.eos_id
SENTINELS = [VOCABULARY.sentinel(i) for i in range(100)]
WORDS = "a bird that swims and dabbles in ponds; running water, the field and what grows in it".split()
DOCUMENTS = [" ".join(WORDS[(i * j) % len(WORDS)] for j in range(5 + 6 * i)) for i in range(8)]
LENGTHS = {"inputs": 64, "targets": 32}


@pytest.fixture
def examples(tmp_path):
    """A function from an objective's name and settings to the (inputs, targets) that its task makes of DOCUMENTS."""
    pytest.importorskip("seqio")
    from tasks import language_modeling

    (tmp_path / "text.txt").write_text("\n\n".join(DOCUMENTS) + "\n")

    def made(objective: str, lengths=LENGTHS, seed: int | None = 0, **settings) -> list[tuple[list[int], list[int]]]:
        chosen = getattr(language_modeling, objective)(**settings)
        task = language_modeling.text_task("text", {"train": str(tmp_path / "text.txt")}, chosen, str(TINY))
        rows = task.get_dataset(lengths, "train", use_cached=False, shuffle=False, seed=seed).as_numpy_iterator()
        return [(row["inputs"].tolist(), row["targets"].tolist()) for row in rows]

    return made


def reassembled(inputs: list[int], targets: list[int]) -> list[int]:
    """The input with each sentinel replaced by what follows it in the target; both end in EOS."""
    assert inputs[-1] == targets[-1] == EOS
    spans, current = {}, []
    for token in targets[:-1]:
        if token in SENTINELS:
            current = spans.setdefault(token, [])
        else:
            current.append(token)
    assert list(spans) == [token for token in inputs if token in SENTINELS] == SENTINELS[: len(spans)]
    return [token for t in inputs[:-1] for token in (spans[t] if t in SENTINELS else [t])]


@pytest.mark.parametrize("joined", [1, 3])
def test_corrupted_inputs_and_their_targets_give_back_the_documents(examples, joined):
    found = [reassembled(*pair) for pair in examples("SpanCorruption", joined=joined)]
    assert sum(found, []) == sum(map(VOCABULARY.encode, DOCUMENTS), [])
    lengths = [len(VOCABULARY.encode(document)) for document in DOCUMENTS]
    texts = [sum(lengths[i : i + joined]) for i in range(0, len(lengths), joined)]
    assert len(found) == sum(-(-text // 70) for text in texts)  # 70 tokens become an input of 64


def test_fifteen_percent_is_hidden_and_full_windows_fill_the_inputs(examples):
    pairs = examples("SpanCorruption", joined=128)
    assert all(len(inputs) == LENGTHS["inputs"] for inputs, _ in pairs[:-1])
    for inputs, targets in pairs:
        shown = sum(token not in SENTINELS for token in inputs[:-1])
        covered = sum(token not in SENTINELS for token in targets[:-1])
        assert covered == max(round(0.15 * (shown + covered)), 1)


@pytest.mark.parametrize("objective", ["SpanCorruption", "PrefixLM"])
def test_a_seed_says_what_is_hidden_and_where_a_text_is_cut(examples, objective):
    assert examples(objective, seed=1) == examples(objective, seed=1) != examples(objective, seed=2)


def test_a_prefix_and_its_continuation_are_the_document_and_only_its_end_says_stop(examples):
    for lengths in (LENGTHS, {"inputs": 12, "targets": 9}):
        pairs = examples("PrefixLM", lengths)
        assert all(inputs[-1] == EOS and len(inputs) <= lengths["inputs"] for inputs, _ in pairs)
        assert all(1 <= len(targets) <= lengths["targets"] for _, targets in pairs)
        text = sum([[*inputs[:-1], *targets] for inputs, targets in pairs], [])
        tokens = [[*VOCABULARY.encode(document), EOS] for document in DOCUMENTS]
        window = lengths["inputs"] - 1 + lengths["targets"]
        kept = [t[:-1] if len(t) % window == 1 else t for t in tokens]  # an end of sequence alone is no example
        assert text == sum(kept, [])


def test_without_sequence_lengths_as_ptune_prepares_they_are_t5s(examples):
    pairs = examples("SpanCorruption", None, joined=1)
    assert [reassembled(*pair) for pair in pairs] == [VOCABULARY.encode(document) for document in DOCUMENTS]


@pytest.mark.parametrize(
    ("lengths", "settings", "message"),
    [
        ({"inputs": 64, "targets": 8}, {}, "inputs of 64 have targets of 14, over 8"),
        ({"inputs": 4096, "targets": 4096}, {}, "hidden spans, but there are 100 sentinels"),
    ],
)
def test_lengths_that_do_not_go_together_are_an_error(examples, lengths, settings, message):
    with pytest.raises(ValueError, match=message):
        examples("SpanCorruption", lengths, **settings)


def test_t5x_finds_both_tasks_over_c4():
    seqio = pytest.importorskip("seqio")
    from tasks import language_modeling

    for name in ("c4_v220_span_corruption", "c4_v220_prefix_lm"):
        task = language_modeling.task(name, str(TINY))
        assert isinstance(task.source, seqio.TfdsDataSource)
        assert task.source.tfds_dataset.name == "c4/en:2.2.0"


# --- targets with a sentinel

BOOLQ = "taskless_super_glue_boolq_v102_1_sentinel"


def test_the_sentinel_form_of_boolq_has_the_sentinel_before_its_label():
    tf = pytest.importorskip("tensorflow")
    from tasks.formatting import preprocessor

    rows = {"idx": [0, 1, 2], "passage": ["p"] * 3, "question": ["q"] * 3, "label": [1, 0, -1]}
    dataset = preprocessor(catalog.lookup(BOOLQ).text)(tf.data.Dataset.from_tensor_slices(rows))
    found = [(row["inputs"].decode(), row["targets"].decode()) for row in dataset.as_numpy_iterator()]
    targets = ["<extra_id_0> True", "<extra_id_0> False", "<unk>"]
    assert found == [("passage: p question: q", target) for target in targets]
    assert [hidden({"targets": target}) for target in targets] == [False, False, True]
    assert set(targets[:2]) == set(catalog.lookup(BOOLQ).labels)


def test_a_prediction_is_scored_without_its_sentinel():
    entry = catalog.lookup(BOOLQ)
    post = POSTPROCESSORS[entry.postprocess]
    tokens = [SENTINELS[0], *VOCABULARY.encode("True")]
    assert VOCABULARY.encode("<extra_id_0> True") == tokens
    assert post(VOCABULARY.decode(tokens), {}, entry.labels, False) == "True"
    assert [post(text, {}, entry.labels, False) for text in ("True", "<extra_id_0>True", "Trues", "")] == [
        "True",
        "True",
        None,
        None,
    ]
    assert post("<extra_id_0> True", {}, entry.labels, True) == "True"


def test_classes_are_averaged_without_their_sentinel():
    entry = catalog.lookup("super_glue_cb_v102_1_sentinel")
    post = POSTPROCESSORS[entry.postprocess]
    answers = [post(label, {}, entry.labels, False) for label in entry.labels]
    assert METRICS["f1_macro"](answers, answers, entry.labels) == {"f1_macro": 100.0}


def test_sentinel_forms_are_found_by_their_full_names_alone():
    names = [name for name in catalog.tasks() if name.endswith("_1_sentinel")]
    assert len(names) == 18 and {name.removesuffix("_1_sentinel") for name in names} <= set(catalog.tasks())
    assert not set(names) & set(catalog.aliases().values())
