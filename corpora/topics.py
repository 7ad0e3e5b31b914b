"""What kind of thing each WordNet definition defines, and which definitions are held out.

The split is decided here, before any text is written for pre-training: validation and test definitions, and everything
that begins or ends like them, never reach the model.
"""

import collections
import functools
import hashlib
import re

from corpora import packages, wordnet

# Numbers of WordNet's lexicographer files. Short plain words: each label should be one piece of a small vocabulary.
LABELS = {5: "animal", 6: "object", 13: "food", 15: "place", 18: "person", 20: "plant"}
DATABASE = "package/database/3.1"
# Rows of each class. 3,060 test rows put a 95% interval within two points.
SIZES = {"validation": 100, "test": 510, "train": 670}
# Six equal words at either end make a near-duplicate: glosses are written by pattern ("a genus of fishes of ...").
SPAN = 6
# Shorter definitions are mostly formulas ("type genus of the family ..."), longer ones would fill the data file.
SHORTEST, LONGEST = 40, 140

Row = tuple[str, str, str]  # id, text, label


def keys(definition: str) -> set[str]:
    """What two near-duplicates have in common: their first or last six words, or all words in another order."""
    words = re.findall(r"[a-z0-9]+", definition.lower())
    ends = {"first " + " ".join(words[:SPAN]), "last " + " ".join(words[-SPAN:])}
    return ends | {"words " + " ".join(sorted(words))}


@functools.cache
def splits() -> dict[str, list[Row]]:
    """Of each class, rows in a fixed random order, cut into the three splits."""
    by_label = collections.defaultdict(list)
    for synset in _distinct():
        by_label[LABELS[synset.topic]].append((synset.id, synset.definition, LABELS[synset.topic]))
    found: dict[str, list[Row]] = {}
    start = 0
    for split, size in SIZES.items():
        rows = [row for label in sorted(by_label) for row in by_label[label][start : start + size]]
        # Salted: the split was cut by the plain hash, so each class has its own range of hashes and would come in a block.
        found[split] = sorted(rows, key=lambda row: order("row " + row[0]))
        start += size
    return found


@functools.cache
def held_out_keys() -> frozenset[str]:
    rows = splits()["validation"] + splits()["test"]
    return frozenset().union(*(keys(text) for _, text, _ in rows))


def _distinct() -> list[wordnet.Synset]:
    """One synset for each key, so that no two rows, whatever their split, are near-duplicates."""
    seen: set[str] = set()
    kept = []
    for synset in sorted(wordnet.synsets(packages.WORDNET.path, DATABASE), key=lambda synset: order(synset.id)):
        if synset.topic not in LABELS or not SHORTEST <= len(synset.definition) <= LONGEST:
            continue
        if not keys(synset.definition) & seen:
            seen |= keys(synset.definition)
            kept.append(synset)
    return kept


def order(name: str) -> str:
    """A hash is a shuffle that does not depend on a random generator's version."""
    return hashlib.sha256(name.encode()).hexdigest()
