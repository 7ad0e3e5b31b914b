"""What prompts are called: by the end of their path, of which a run's folder `prompts` is no part.

`gloss_topic-0` is enough where no other prompt's path ends so; else it is `demo/gloss_topic-0`, the member of a run.
"""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePath

from ptune_cli.errors import UserError
from ptune_cli.formats.prompt import FILES


def shortest(places: Sequence[Path]) -> list[str]:
    """For each prompt's folder or file, as few last parts of its path as no other's ends in. UserError for one given twice."""
    paths = [_parts(place) for place in places]
    for parts, times in Counter(paths).items():
        if times > 1:
            raise UserError(f"the prompt {PurePath(*parts)} is given {times} times", "give each once")
    endings = Counter(ending for parts in paths for ending in _endings(parts))
    return [next(str(PurePath(*ending)) for ending in _endings(parts) if endings[ending] == 1) for parts in paths]


def called(name: str, places: Sequence[Path]) -> list[int]:
    """The indices of the places whose paths end in `name`."""
    wanted = _without_prompts(PurePath(name).parts)
    return [i for i, place in enumerate(places) if wanted in _endings(_parts(place))]


def _parts(place: Path) -> tuple[str, ...]:
    # A file of a prompt's folder is that prompt; a file of another name is called as it is.
    path = Path(os.path.abspath(place))
    return _without_prompts((path.parent if path.name in FILES else path).parts)


def _without_prompts(parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part for part in parts if part != "prompts")


def _endings(parts: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [parts[-n:] for n in range(1, len(parts) + 1)]
