"""What the demo tasks test on is not in the pre-training text; their cards and baselines say what is so.

The archives are not in the repository, so small made-up ones stand for them.
"""

import csv
import io
import json
import sqlite3
import tarfile
from pathlib import Path

import pytest

from corpora import baseline, bible, card, card_texts, demo_tasks, dictionary, overlap, packages, webster_topics

DATA = Path(__file__).parents[1] / "tasks" / "data"
ZEBU = "A bovine mammal of India with a hump on its shoulders."
PAIRS = [
    ("1", "the king went up to the city", "the king went up into the town", "same"),
    ("2", "the king went up to the city", "and all his people ate bread there", "different"),
    ("3", "a wise son makes a glad father", "a wise son makes his father glad", "same"),
    ("4", "a wise son makes a glad father", "riches gained by vanity shall shrink", "different"),
]


def ids(task: str, split: str) -> list[str]:
    return [line.split("\t")[0] for line in (DATA / task / f"{split}.tsv").read_text("utf-8").splitlines()[1:]]


def chapters(split: str) -> set[tuple[int, int]]:
    return {tuple(map(int, name.split(":")[:2])) for name in ids("verse_pair", split)}


def tarball(file: Path, inside: str, text: str) -> None:
    with tarfile.open(file, "w:gz") as tar:
        member = tarfile.TarInfo(inside)
        member.size = len(text.encode())
        tar.addfile(member, io.BytesIO(text.encode()))


def test_verses_to_test_on_are_of_held_out_chapters_and_those_to_train_on_are_not():
    assert all(bible.held_out(*place) for split in ("validation", "test") for place in chapters(split))
    assert not any(bible.held_out(*place) for place in chapters("train"))


def test_no_passage_is_of_a_held_out_chapter_in_any_translation(tmp_path):
    rows = [(name, 1, chapter, verse, f"{name} {chapter}.") for name in "k3" for chapter in range(1, 41) for verse in (1, 2)]
    with sqlite3.connect(tmp_path / "bible.db") as database:
        database.execute("CREATE TABLE bible (bbName, bNumber, cNumber, vNumber, vText)")
        database.executemany("INSERT INTO bible VALUES (?, ?, ?, ?, ?)", rows)
    kept = [chapter for chapter in range(1, 41) if not bible.held_out(1, chapter)]
    assert 20 < len(kept) < 40
    for name in "k3":
        found = list(bible.read(tmp_path / "bible.whl", f"bible.db {name}"))
        assert [passage.text for passage in found] == [f"{name} {chapter}. {name} {chapter}." for chapter in kept]


@pytest.fixture
def dictionaries(tmp_path, monkeypatch) -> Path:
    """A WordNet that knows one animal, and a Webster's that has it under two spellings; returns Webster's."""
    monkeypatch.setattr(packages, "DOWNLOADS", tmp_path)
    tarball(packages.WORDNET.path, "package/database/3.1/data.noun", "00000001 05 n 01 zebu 0 000 | an ox of Asia\n")
    words = {
        "ZEBU": ZEBU,
        "ZEBOO": f"1. See the plate. {ZEBU} [Written also zebu.]",
        "ZEST": "A relish that is given to food or drink.",
    }
    text = json.dumps([{"key": key.lower(), "value": value} for key, value in words.items()])
    tarball(packages.WEBSTER.path, webster_topics.INSIDE, text)
    webster_topics.splits.cache_clear()
    webster_topics.held_out.cache_clear()
    yield packages.WEBSTER.path
    webster_topics.splits.cache_clear()
    webster_topics.held_out.cache_clear()


def test_an_entry_with_a_definition_to_test_on_is_left_out_under_any_spelling(dictionaries):
    assert webster_topics.splits() == {"test": [("zebu", ZEBU, "animal")]}
    assert [passage.text[:5] for passage in dictionary.read(dictionaries, webster_topics.INSIDE)] == ["zest:"]


def test_verse_pairs_are_compared_and_not_read_as_one_text():
    assert baseline.majority(PAIRS) == 0.5
    assert baseline.resemblance(PAIRS, PAIRS) == 1.0
    swapped = [(name, second, first, label) for name, first, second, label in PAIRS]
    assert baseline.resemblance(PAIRS, swapped) == 1.0


def test_word_counts_are_trained_once_and_scored_on_every_test():
    train = [("1", "a bird of the sea", "animal"), ("2", "a tree of the woods", "plant")]
    assert baseline.word_counts(train, train, [("3", "some bird", "animal"), ("4", "a tree", "animal")]) == [1.0, 0.5]


def test_a_row_with_eight_words_of_a_passage_is_counted_whatever_its_punctuation():
    rows = {("t", "test", "a"): ("One, two three four five six seven eight nine",), ("t", "test", "b"): ("one two three",)}
    assert overlap.shared(rows, ["Zero one two three four; five six SEVEN eight."]) == {("t", "test", "a")}
    assert overlap.shared(rows, ["one two three four five six seven nine"]) == set()


def test_a_card_counts_its_rows_and_shows_as_many_examples_of_each_label():
    prose = card.Prose("What.", "`id`", ["A limit."], "Held out.", "Of it.", "From there.")
    scores = {"majority": {card.TEST: 0.5}, "resemblance": {card.TEST: 0.9}}
    text = card.render("pair", demo_tasks.PAIR, {"test": PAIRS * 25}, scores, prose)
    assert "| same | 50 |" in text and "| all | 100 |" in text and "| resemblance | 90.0% |" in text
    assert text.count("| same |\n") == text.count("| different |\n") == 3
    assert "On 100 test rows, a 95% interval around the last method's score is plus or minus 5.9 points" in text


@pytest.mark.parametrize("task", demo_tasks.TASKS)
def test_the_cards_counts_are_those_of_the_files(task):
    text = (DATA / task / "README.md").read_text("utf-8")
    (total,) = [line for line in text.splitlines() if line.startswith("| all |")]
    splits = [line for line in text.splitlines() if line.startswith("| label |")][0].split(" | ")[1:]
    names = [split.strip(" |") for split in splits]
    assert total == f"| all | {' | '.join(str(len(ids(task, split))) for split in names)} |"
    assert (DATA / task / "LICENSE").read_text("utf-8")


def test_the_rows_read_for_webster_topics_card_are_the_first_of_its_file():
    assert set(card_texts.MISLABELLED) <= set(ids("webster_topic", "test")[: card_texts.READ])
    low, high = card_texts.wilson(6, 60)
    assert (round(low, 3), round(high, 3)) == (0.047, 0.201)


def test_a_tab_inside_a_text_is_refused(tmp_path):
    demo_tasks.write_rows(tmp_path / "rows.tsv", demo_tasks.TOPIC, [("1", 'a "text"', "plant")])
    assert (tmp_path / "rows.tsv").read_text() == 'id\ttext\tlabel\n1\ta "text"\tplant\n'
    with pytest.raises(csv.Error):
        demo_tasks.write_rows(tmp_path / "rows.tsv", demo_tasks.TOPIC, [("1", "a\ttext", "plant")])
