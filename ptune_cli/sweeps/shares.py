"""Shares of a sweep: processes on several machines that divide its points, and never speak to each other."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from ptune_cli.errors import UserError
from ptune_cli.sweeps.joining import groups
from ptune_cli.sweeps.points import Point


@dataclass(frozen=True)
class Share:
    """One of `count` shares, from 0."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of "0/4". UserError for another text, or a number that is not below the count."""
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        if not found or int(found[1]) >= int(found[2]):
            raise UserError(f"the share '{text}' is none", "expected I/N, as 0/4, 1/4, 2/4 or 3/4")
        return cls(int(found[1]), int(found[2]))

    def of(self, points: Sequence[Point]) -> list[Point]:
        """Its points: every `count`-th of the runs that the grid makes in an empty folder.

        So no two shares have a point in common, whenever they start and whatever has finished by then: what is in the folder
        says only which of its own points a share still has to train.
        """
        own = list(groups(points))[self.number :: self.count]
        return [point for group in own for point in group]
