"""What kind of thing Webster's of 1913 defines: the labels of `topics`, on a dictionary a century older.

Only for testing: a prompt that was trained on WordNet's definitions is tried here, as the paper tries SQuAD's on MRQA.
"""

import collections
import functools

from corpora import packages, topics, webster, wordnet
from corpora.passages import sentences

INSIDE = "package/kv-pairs.json"
LARGEST = 500  # rows of one class; of food and place there are fewer


@functools.cache
def splits() -> dict[str, list[topics.Row]]:
    """The first sentences of entries whose word has one topic in WordNet, in all its senses, nouns and others."""
    topic = _topics()
    by_label = collections.defaultdict(dict)
    for entry in sorted(webster.entries(packages.WEBSTER.path, INSIDE), key=lambda entry: topics.order(entry.word)):
        text, label = sentences(entry.senses)[0], topic.get(entry.word.lower())
        if label and topics.SHORTEST <= len(text) <= topics.LONGEST and len(by_label[label]) < LARGEST:
            by_label[label].setdefault(text, (entry.word, text, label))
    rows = [row for found in by_label.values() for row in found.values()]
    return {"test": sorted(rows, key=lambda row: topics.order("row " + row[0] + row[1]))}


@functools.cache
def held_out() -> frozenset[str]:
    """The definitions that no pre-training text may hold."""
    return frozenset(text for _, text, _ in splits()["test"])


def definitions(entry: webster.Entry) -> set[str]:
    """Every sentence of an entry: the same definition may stand under two spellings of a word."""
    return set(sentences(entry.senses))


def _topics() -> dict[str, str]:
    numbers = collections.defaultdict(set)
    for synset in wordnet.synsets(packages.WORDNET.path, topics.DATABASE):
        for word in synset.words:
            numbers[word.lower()].add(synset.topic)
    return {word: topics.LABELS[min(found)] for word, found in numbers.items() if len(found) == 1 and found & set(topics.LABELS)}
