"""The demo tasks: their rows, licences and cards, in tasks/data.

Run: python -m corpora.demo_tasks, after corpora.fetch
"""

import csv
import dataclasses
import pathlib
from collections.abc import Callable, Sequence

from corpora import baseline, card, topics, verse_pairs, webster_topics
from corpora import card_texts as texts

DATA = pathlib.Path(__file__).parent.parent / "tasks" / "data"
TOPIC, PAIR = ("id", "text", "label"), ("id", "first", "second", "label")


@dataclasses.dataclass(frozen=True)
class DemoTask:
    """A task that comes with its data. Functions are called once the archives are there."""

    columns: tuple[str, ...]
    splits: Callable[[], card.Splits]
    scores: Callable[[], card.Scores]
    licence: Callable[[], str]
    prose: card.Prose


def gloss_topic_scores() -> card.Scores:
    splits = topics.splits()
    (accuracy,) = baseline.word_counts(splits["train"], splits["test"])
    return {"majority": {card.TEST: baseline.majority(splits["test"])}, "TF-IDF + logistic regression": {card.TEST: accuracy}}


def webster_topic_scores() -> card.Scores:
    """Trained on gloss_topic, and scored on both."""
    home, away = topics.splits(), webster_topics.splits()
    columns = {card.TEST: away["test"], "`gloss_topic` test accuracy": home["test"]}
    accuracies = baseline.word_counts(home["train"], *columns.values())
    return {
        "majority": {column: baseline.majority(rows) for column, rows in columns.items()},
        "TF-IDF + logistic regression": dict(zip(columns, accuracies, strict=True)),
    }


def verse_pair_scores() -> card.Scores:
    splits = verse_pairs.splits()
    train, test = splits["train"], splits["test"]
    (one,) = baseline.word_counts(*([(name, first, label) for name, first, _, label in rows] for rows in (train, test)))
    (both,) = baseline.word_counts(train, test)
    accuracies = {
        "majority": baseline.majority(test),
        "TF-IDF of the first verse + logistic regression": one,
        "TF-IDF of both verses + logistic regression": both,
        "resemblance + logistic regression": baseline.resemblance(train, test),
    }
    return {method: {card.TEST: accuracy} for method, accuracy in accuracies.items()}


# fmt: off
TASKS = {
    "gloss_topic": DemoTask(TOPIC, topics.splits, gloss_topic_scores, texts.wordnet_notice, texts.GLOSS_TOPIC),
    "webster_topic": DemoTask(TOPIC, webster_topics.splits, webster_topic_scores, texts.webster_notice, texts.WEBSTER_TOPIC),
    "verse_pair": DemoTask(PAIR, verse_pairs.splits, verse_pair_scores, texts.bible_notice, texts.VERSE_PAIR),
}
# fmt: on


def main() -> None:
    for name, task in TASKS.items():
        (DATA / name).mkdir(parents=True, exist_ok=True)
        for split, rows in task.splits().items():
            write_rows(DATA / name / f"{split}.tsv", task.columns, rows)
            print(f"{name:16}{split:12}{len(rows):6} rows")
        scores = task.scores()
        for method, measured in scores.items():
            print(f"{name:16}{method}: " + ", ".join(f"{column} {value:.1%}" for column, value in measured.items()))
        (DATA / name / "LICENSE").write_text(task.licence(), encoding="utf-8")
        text = card.render(name, task.columns, task.splits(), scores, task.prose)
        (DATA / name / "README.md").write_text(text, encoding="utf-8")


def write_rows(file: pathlib.Path, columns: Sequence[str], rows: Sequence[tuple[str, ...]]) -> None:
    """Tab-separated with a header; a tab inside a text is an error, as nothing is quoted."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None)
        writer.writerow(columns)
        writer.writerows(rows)


if __name__ == "__main__":
    main()
