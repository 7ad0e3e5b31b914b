"""The demo task: a WordNet definition, without its word, -> what kind of thing it defines.

Run: python -m corpora.gloss_topic
"""

import csv
import pathlib

from corpora import baseline, card, topics

FOLDER = pathlib.Path(__file__).parent.parent / "tasks" / "data" / "gloss_topic"


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for split, rows in topics.splits().items():
        _write(FOLDER / f"{split}.tsv", rows)
        print(f"{split:12}{len(rows):6} rows")
    measured = baseline.measure(topics.splits())
    card.write(FOLDER, topics.splits(), measured)
    print(*(f"{name}: {value:.1%}" for name, value in measured.items()), sep="\n")


def _write(file: pathlib.Path, rows: list[topics.Row]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None)
        writer.writerow(("id", "text", "label"))
        writer.writerows(rows)


if __name__ == "__main__":
    main()
