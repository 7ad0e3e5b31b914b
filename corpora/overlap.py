"""How much of the demo tasks' held-out rows the pre-training text has all the same: formulas, parallel passages, quotations.

Run: python -m corpora.overlap, after corpora.demo_tasks and corpora.clean
"""

import collections
import re
from collections.abc import Iterable

from corpora import demo_tasks
from corpora.packages import TEXT

SPAN = 8  # words in a row


def main() -> None:
    rows = {
        (name, split, row[0]): row[1:-1]
        for name, task in demo_tasks.TASKS.items()
        for split, found in task.splits().items()
        if split != "train"
        for row in found
    }
    with (TEXT / "train.txt").open(encoding="utf-8") as passages:
        found = shared(rows, passages)
    totals, counts = (collections.Counter(name for name, *_ in keys) for keys in (rows, found))
    for name, total in totals.items():
        print(f"{name}: {counts[name]} of {total} rows share {SPAN} words in a row with a training passage")


def shared(rows: dict[tuple[str, ...], tuple[str, ...]], passages: Iterable[str]) -> set[tuple[str, ...]]:
    """The keys of the rows one of whose texts has SPAN words in a row, in lower case and without punctuation, with a passage."""
    holders = collections.defaultdict(set)
    for key, texts in rows.items():
        for span in set().union(*map(_spans, texts)):
            holders[span].add(key)
    return set().union(*(holders.get(span, ()) for passage in passages for span in _spans(passage)))


def _spans(text: str) -> set[str]:
    words = re.findall(r"[a-z0-9]+", text.lower())
    return {" ".join(words[i : i + SPAN]) for i in range(len(words) - SPAN + 1)}


if __name__ == "__main__":
    main()
