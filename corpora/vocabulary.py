"""Trains the SentencePiece vocabulary of the small T5: the same kind as T5's own, with 6,000 pieces instead of 32,000.

ids: padding 0, end of sequence 1, unknown 2, no begin. The 100 sentinels of span corruption are not in the file: as with
T5, the program adds them after the last piece.

Run: python -m corpora.vocabulary, after corpora.clean
"""

import itertools
import statistics
import string
import time

import sentencepiece

from corpora.packages import BUILD, TEXT

PIECES = 6000
# The first documents of the shuffled file: two fifths of every source, which trains in 40 seconds on a free core.
SAMPLE = 80_000
# A capital that is rare in the corpus must still not be unknown.
REQUIRED = string.ascii_letters + string.digits + string.punctuation
MODEL = BUILD / "spiece.model"


def main() -> None:
    start = time.monotonic()
    with (TEXT / "train.txt").open(encoding="utf-8") as lines:
        train(list(itertools.islice(map(str.rstrip, lines), SAMPLE)))
    print(f"{MODEL.name}: {PIECES} pieces, {MODEL.stat().st_size / 1e3:.0f} kB, {time.monotonic() - start:.0f} s")
    _report()


def train(texts: list[str]) -> None:
    """Deterministic: the input is a fixed list in a fixed order, and one thread sums its counts in one order."""
    with MODEL.open("wb") as stream:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=stream,
            model_type="unigram",
            vocab_size=PIECES,
            pad_id=0,
            eos_id=1,
            unk_id=2,
            bos_id=-1,
            byte_fallback=False,
            normalization_rule_name="nmt_nfkc",
            character_coverage=0.9999,
            required_chars=REQUIRED,
            shuffle_input_sentence=False,
            num_threads=1,
            minloglevel=1,
        )


def _report() -> None:
    """What `corpora/README.md` says of the text in tokens."""
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(MODEL))
    for split in ("train", "validation"):
        lengths, words, unknown = [], 0, 0
        with (TEXT / f"{split}.txt").open(encoding="utf-8") as lines:
            for line in lines:
                ids = pieces.encode(line.rstrip())
                lengths.append(len(ids))
                words, unknown = words + len(line.split()), unknown + ids.count(pieces.unk_id())
        middle, *_, longest = statistics.quantiles(lengths, n=10)[4:]
        print(f"{split}: {sum(lengths)} tokens, {sum(lengths) / words:.2f} per word, {unknown} unknown")
        print(f"{split}: {len(lengths)} documents; half have up to {middle:.0f} tokens, a tenth more than {longest:.0f}")


if __name__ == "__main__":
    main()
