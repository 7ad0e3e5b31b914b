"""A text for pre-training goes through in shards: in constant memory, every document once, shuffled the same way each time."""

import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ptune_cli.data import text, text_shards
from ptune_cli.data.vocabulary import Vocabulary

TINY = Path(__file__).parent / "data" / "tiny.spiece.model"
WORDS = "the bird swims in a pond".split()


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary(TINY)


@pytest.fixture
def small_shards(monkeypatch):
    """Shards of 10 kB of text, and buffers that are full before that."""
    monkeypatch.setattr(text, "BYTES_A_SHARD", 10_000)
    monkeypatch.setattr(text_shards, "BUFFER", 1_000)


def line(i: int) -> str:
    return f"{i} " + " ".join(WORDS[i % 5 :])


def write(file: Path, count: int) -> str:
    with open(file, "w") as lines:
        lines.writelines(f"{line(i)}\n" for i in range(count))
    return str(file)


def documents(found: text.Text) -> list[tuple[int, ...]]:
    return [tuple(found.ids[a:b].tolist()) for a, b in zip(found.starts, found.starts[1:], strict=False)]


def test_every_document_is_there_once_shuffled_and_in_the_same_order_each_time(vocabulary, tmp_path, small_shards):
    file = write(tmp_path / "text.txt", 3_000)
    found, again = (text.read(file, vocabulary, tmp_path / name) for name in ("a", "b"))
    written = [(*vocabulary.encode(line(i)), vocabulary.eos_id) for i in range(3_000)]
    assert Counter(documents(found)) == Counter(written)
    assert documents(found) == documents(again)
    place = {document: i for i, document in enumerate(written)}
    order = np.array([place[document] for document in documents(found)])
    # Random within a shard and over shards: neither has anything left of the file's order.
    assert abs(np.corrcoef(order, np.arange(3_000))[0, 1]) < 5 / 3_000**0.5  # five standard deviations
    assert np.mean(np.abs(np.diff(order)) < 30) < 0.05
    assert sorted(path.name for path in found_folder(tmp_path / "a").iterdir()) == ["ids.npy", "manifest.json", "starts.npy"]


def found_folder(cache: Path) -> Path:
    [folder] = [path for path in cache.iterdir() if path.is_dir()]
    return folder


def test_the_document_around_a_position_is_found_in_every_shard(vocabulary, tmp_path, small_shards):
    found = text.read(write(tmp_path / "text.txt", 1_000), vocabulary, tmp_path / "cache")
    each = documents(found)
    assert [tuple(found.document(start)) for start in found.starts[:-1]] == each
    assert [tuple(found.document(end - 1)) for end in found.starts[1:]] == each


def test_memory_does_not_grow_with_the_text(vocabulary, tmp_path, small_shards):
    def peak(count: int, cache: str) -> int:
        file = write(tmp_path / f"{count}.txt", count)
        tracemalloc.start()
        text.read(file, vocabulary, tmp_path / cache)
        traced = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return traced

    # The lesser of two, since Python may enlarge a table of its own (of interned names) during one of them.
    few, many = (min(peak(count, "a"), peak(count, "b")) for count in (2_000, 20_000))
    # 18,000 more documents are 450 kB of text and 300 kB of ids.
    assert many - few < 50_000


def test_what_a_killed_process_left_is_not_read(vocabulary, tmp_path, small_shards):
    file = write(tmp_path / "text.txt", 1_000)
    found = documents(text.read(file, vocabulary, tmp_path / "cache"))
    folder = found_folder(tmp_path / "cache")
    folder.rename(folder.with_name(f"{folder.name}.partial"))
    (folder.with_name(f"{folder.name}.partial") / "shard-0").write_bytes(b"half")
    assert documents(text.read(file, vocabulary, tmp_path / "cache")) == found
