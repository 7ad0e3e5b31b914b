"""`ptune inspect`: a prompt made of known vectors is said to be close to what it was made of."""

import base64
import json
import re
import shutil
import xml.etree.ElementTree as ET

import model_folder
import numpy as np
import pytest

from ptune_cli.base_model import BaseModel
from ptune_cli.formats.prompt import PromptFile, read, write
from ptune_cli.prompts.init import label_vector
from ptune_cli.prompts.neighbours import best_match, cosines, nearest, project, ranks, row_by_row

TABLE = np.random.default_rng(0).normal(size=(50, 16)).astype(np.float32)
IDS = [7, 3, 41, 3]


@pytest.mark.parametrize("scale", [1e-6, 1.0, 300.0])
def test_rows_of_the_table_at_any_length_are_nearest_to_themselves(scale):
    similarities = cosines(scale * TABLE[IDS], TABLE)
    closest = nearest(similarities, 5)
    assert closest[:, 0].tolist() == IDS
    assert np.take_along_axis(similarities, closest, axis=1)[:, 0] == pytest.approx(1)
    assert (closest == nearest(cosines(TABLE[IDS], TABLE), 5)).all()


def test_neighbours_are_in_the_order_of_their_angles_and_equal_ones_in_that_of_the_vocabulary():
    angles = np.radians([50, 20, 70, 20, 0])
    fan = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert nearest(cosines(np.array([[1.0, 0.0]]), fan[[0, 1, 2, 4]] * [[3], [1], [2], [9]]), 4).tolist() == [[3, 1, 0, 2]]
    assert nearest(cosines(fan[1:2], fan), 9).tolist() == [[1, 3, 4, 0, 2]]


def test_a_row_of_zeros_is_similar_to_nothing():
    assert (cosines(np.zeros((1, 16)), TABLE) == 0).all()
    assert np.isfinite(project(np.zeros((3, 16)))[1]).all()


def test_a_label_ranks_as_the_piece_it_is_and_the_mean_of_two_pieces_before_either():
    rows = np.stack([TABLE[7], TABLE[7] + TABLE[8], TABLE[9]])
    labels = np.stack([TABLE[7], (TABLE[7] + TABLE[8]) / 2])
    similarities, own = cosines(rows, TABLE), cosines(rows, labels)
    order = nearest(similarities, 50)
    places = ranks(similarities, own)
    assert places[:, 0].tolist() == [1 + list(row).index(7) for row in order]
    assert places[1].tolist() == [1 + list(order[1]).index(7), 1] and places[0, 1] == 2


def test_equal_prompts_have_similarity_1_and_reordered_ones_only_by_best_match():
    prompts = [TABLE[:6], 5 * TABLE[:6], TABLE[5::-1], TABLE[:4]]
    rows, match = row_by_row(prompts), best_match(prompts)
    assert rows[0, 1] == pytest.approx(1) and rows[0, 3] == pytest.approx(1)  # the fourth is the first's beginning
    assert match[0, 1] == pytest.approx(1) and match[0, 2] == pytest.approx(1)
    assert rows[0, 2] < 0.5 and match[0, 3] < 0.95
    for matrix in (rows, match):
        assert (matrix == matrix.T).all() and np.diag(matrix) == pytest.approx(1)


def test_a_projection_keeps_the_plane_that_points_lie_in():
    angles = np.array([0.0, 0.4, 1.3, 2.9])
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    plane = np.linalg.qr(np.random.default_rng(1).normal(size=(16, 2)))[0]
    at, explained = project(9 * circle @ plane.T)
    assert explained.sum() == pytest.approx(1)
    assert np.linalg.norm(at[0] - at[1:], axis=1) == pytest.approx(np.linalg.norm(circle[0] - circle[1:], axis=1), abs=1e-5)


@pytest.fixture(scope="module")
def frozen(model):
    return BaseModel(checkpoint=str(model)).load()


@pytest.fixture
def prompt(frozen, tmp_path):
    """Writes a prompt of these rows, as one of the tiny model."""

    def made(rows, name="made", **metadata):
        known = {"base_model": frozen.name, "base_fingerprint": frozen.fingerprint, "vocabulary_sha256": frozen.vocabulary.sha256}
        known["model"] = BaseModel(checkpoint=frozen.name).as_json()
        write(tmp_path / name, PromptFile(np.asarray(rows), {**known, **metadata}))
        return tmp_path / name

    return made


@pytest.fixture
def inspect(ptune):
    def run(*arguments):
        code, out, errors = ptune("inspect", *arguments, "--json")
        assert code == 0, errors
        return json.loads(out)

    return run


def first(found: dict) -> list[str]:
    return [row["neighbours"][0]["piece"] for row in found["rows"]]


def test_rows_of_the_embedding_table_are_named_as_their_pieces(frozen, prompt, inspect):
    ids = [0, 1, 100, 7, frozen.vocabulary.sentinel(0)]
    found = inspect(prompt(np.asarray(frozen.embeddings)[ids]), "--neighbours", "3")
    [one] = found["prompts"]
    assert first(one) == ["<pad>", "</s>", frozen.vocabulary.piece(100), frozen.vocabulary.piece(7), "▁<extra_id_0>"]
    assert [row["neighbours"][0]["id"] for row in one["rows"]] == ids
    assert all(row["neighbours"][0]["similarity"] == pytest.approx(1) and len(row["neighbours"]) == 3 for row in one["rows"])
    norms = np.linalg.norm(np.asarray(frozen.embeddings), axis=1)
    assert [row["norm"] for row in one["rows"]] == pytest.approx(norms[ids])
    assert found["embedding_norm"]["mean"] == pytest.approx(norms[: frozen.vocabulary.size].mean())
    # A row that is a piece lies where the piece does.
    assert [row["at"] for row in one["rows"]] == [pytest.approx(found["projection"]["pieces"][piece]) for piece in first(one)]


def test_rows_behind_the_vocabulary_are_no_neighbours_even_of_themselves(frozen, prompt, inspect):
    table, size = np.asarray(frozen.embeddings), frozen.vocabulary.size
    assert len(table) > size
    found = inspect(prompt(table[size:]), "--neighbours", len(table))
    assert found["neighbours"] == size
    for row in found["prompts"][0]["rows"]:
        assert sorted(near["id"] for near in row["neighbours"]) == list(range(size))
        assert row["neighbours"][0]["similarity"] < 0.999


def test_labels_are_found_at_their_rows(frozen, prompt, inspect):
    vectors = {word: np.asarray(label_vector(word, frozen.embeddings, frozen.vocabulary)) for word in model_folder.LABELS}
    noise = np.random.default_rng(0).normal(size=(3, 16))
    rows = [noise[0], 40 * vectors["plant"], noise[1], vectors["dog"] + 0.01 * noise[2], vectors["plant"]]
    [found] = inspect(prompt(rows, task=model_folder.TASK), "--neighbours", "1")["prompts"]
    at = {label: [(s["row"], s["rank"]) for s in sightings] for label, sightings in found["labels"].items()}
    assert at == {"dog": [(3, 1)], "people": [], "plant": [(1, 1), (4, 1)]}
    [found] = inspect(prompt(rows), "--labels", "tree,dog")["prompts"]
    assert list(found["labels"]) == ["tree", "dog"] and 3 in [s["row"] for s in found["labels"]["dog"]]


def test_rows_that_share_their_nearest_piece_are_counted(frozen, prompt, inspect, ptune):
    rows = np.asarray(frozen.embeddings)[[100, 50, 100, 60, 100, 60]]
    place, piece = prompt(rows), frozen.vocabulary.piece
    [found] = inspect(place)["prompts"]
    assert found["distinct_nearest"] == 3 and found["shared_nearest"] == {piece(100): [0, 2, 4], piece(60): [3, 5]}
    out = " ".join(ptune("inspect", place)[1].split())
    assert f"3 different ones of 6 rows; shared: {piece(100)} (rows 0, 2, 4), {piece(60)} (rows 3, 5)" in out


def test_a_prompt_is_compared_with_what_its_run_started_it_from(bank, inspect, tmp_path):
    """The best step of each prompt of this bank is step 0; two of another kind are put into a copy of the run."""
    found = inspect(bank)
    names = sorted(place.name for place in (bank / "prompts").iterdir())
    assert [(one["name"], one["step"], one["notes"]) for one in found["prompts"]] == [(name, 0, []) for name in names]
    assert all(row["initial"] == pytest.approx(1) for one in found["prompts"] for row in one["rows"])
    for one in found["prompts"]:
        assert {label: near[0]["row"] for label, near in one["labels"].items()} == {"dog": 0, "people": 1, "plant": 2}
    run = shutil.copytree(bank, tmp_path / "run")
    places = [run / "prompts" / name for name in names[2:]]  # five rows: the seeds differ in the two behind the labels
    prompts = [read(place) for place in places]
    write(places[0], PromptFile(-2 * prompts[0].array, prompts[0].metadata))
    write(places[1], PromptFile(prompts[0].array, prompts[1].metadata))
    turned, swapped = inspect(run)["prompts"][2:]
    assert [row["initial"] for row in turned["rows"]] == pytest.approx([-1] * 5)
    assert [row["initial"] > 0.99 for row in swapped["rows"]] == [True] * 3 + [False] * 2
    assert (swapped["task"], swapped["seed"], swapped["length"]) == (model_folder.TASK, 1, 5)
    for matrix in found["similarity"].values():
        assert np.diag(matrix) == pytest.approx(1) and np.array(matrix).shape == (4, 4)


def test_outside_its_run_a_prompt_has_no_initial_prompt_and_that_is_said(bank, inspect, ptune, tmp_path):
    name = min(place.name for place in (bank / "prompts").iterdir())
    inside = bank / "prompts" / name
    copy = shutil.copytree(inside, tmp_path / "copy")
    one, same = inspect(copy, inside / "prompt.safetensors")["prompts"]
    assert one["initial_mean"] is None and same["initial_mean"] is not None
    assert one["labels"] == same["labels"] != {}
    assert one["notes"] == [
        f"no similarity to the initial prompt: {copy} is not in the folder of a run, whose config.gin says how prompts started"
    ]
    assert "no similarity to the initial prompt" in ptune("inspect", copy)[1]


def test_a_bare_array_is_inspected_without_labels(bank, model, inspect, tmp_path):
    copied = shutil.copy(next((bank / "prompts").iterdir()) / "prompt.npy", tmp_path / "alone.npy")
    [one] = inspect(copied, "--model.checkpoint", model)["prompts"]
    assert one["labels"] is None and any("no labels" in note and "does not say its task" in note for note in one["notes"])


def test_the_terminal_shows_the_first_rows_and_how_to_see_all(frozen, prompt, ptune):
    place = prompt(np.asarray(frozen.embeddings)[:30], task=model_folder.TASK, seed=3)
    code, out, _ = ptune("inspect", place, "--rows", "4")
    assert code == 0 and out.startswith("made: kinds:kinds, seed 3, 30 rows\n")
    assert "26 more rows: --rows 0 shows all" in out and "labels: dog " in out
    shown = re.findall(r"^ +(\d+) +\d+\.\d", out, re.MULTILINE)
    assert shown == ["0", "1", "2", "3"]
    out = ptune("inspect", place, "--rows", "0")[1]
    assert re.findall(r"^ +(\d+) +\d+\.\d", out, re.MULTILINE) == [str(i) for i in range(30)] and "more rows" not in out


def test_the_page_has_every_row_and_its_pictures_in_it(bank, frozen, prompt, inspect, ptune, tmp_path):
    long = prompt(np.asarray(frozen.embeddings)[:40], name="<b>long</b> $x$", task="<i>")
    code, out, errors = ptune("inspect", bank, long, "--html", tmp_path / "page" / "found.html")
    assert code == 0, errors
    assert out.endswith(f"page: {tmp_path / 'page' / 'found.html'}\n")
    page = (tmp_path / "page" / "found.html").read_text()
    assert "<script" not in page and "http" not in page and "<b>" not in page and "<i>" not in page
    pictures = [ET.fromstring(base64.b64decode(data)) for data in re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)]
    assert len(pictures) == page.count("<img") == 2 + 5  # similarity, projection, and the norms of each
    bodies = re.findall(r"<tbody>(.*?)</tbody>", page)
    found = inspect(bank, long)
    assert len(bodies) == 1 + 5 and bodies[0].count("<tr>") == 5
    for body, one in zip(bodies[1:], found["prompts"], strict=True):
        lines = re.findall(r"<tr>(.*?)</tr>", body)
        assert len(lines) == len(one["rows"])
        for number, (line, row) in enumerate(zip(lines, one["rows"], strict=True)):
            text = re.sub(r"<[^>]+>", "", line.replace("</td>", "|")).replace("&lt;", "<").replace("&gt;", ">")
            assert text.startswith(f"{number}|{row['norm']:.1f}|")
            near = [f"{n['piece']} {n['similarity']:.2f}|" for n in row["neighbours"]]
            assert text.replace("&amp;", "&").replace("&#x27;", "'").replace("&quot;", '"').endswith("".join(near))


def test_mistakes_are_named(bank, model, prompt, ptune, tmp_path):
    def said(*arguments) -> str:
        code, out, errors = ptune("inspect", *arguments)
        assert (code, out) == (2, "")
        return errors

    assert "Inspect.prompt is not set; give PROMPT" in said()
    assert f"no run or prompt at '{bank.parent / 'rum'}'; in {bank.parent}: did you mean 'run'?" in said(bank.parent / "rum")
    (tmp_path / "empty" / "prompts").mkdir(parents=True)
    assert f"no prompt at {tmp_path / 'empty'}" in said(tmp_path / "empty")
    other = prompt(np.ones((2, 16)), name="other", base_fingerprint="12" * 32, base_model="another")
    assert f"{other}: the prompt was trained with a model of fingerprint {'12' * 32}" in said(bank, other)
    wide = prompt(np.ones((2, 8)), name="wide")
    assert f"{wide}: the prompt's width is 8, expected 16" in said(bank, wide)
    assert "neighbours is 0" in said(bank, "--neighbours", "0")
    assert "the class label '語' does not tokenise" in said(bank, "--labels", "語")
