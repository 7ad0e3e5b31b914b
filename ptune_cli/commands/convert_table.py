"""What `ptune convert` prints: the map of names, with the layers of a stack in one line, and what was done."""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence

LAYER, NUMBER = re.compile(r"layers_\d+"), re.compile(r"(\d+)")
INDENT = "    "


def names(arrays: Sequence[Mapping]) -> str:
    """The map: name in the source, name in the destination, shape and type of each of `arrays` (of `Conversion.arrays`).

    Where the terminal is too narrow, the second name and the rest are on a line of their own.
    """
    lines = list(_lines(arrays))
    widths = [max(len(line[i]) for line in lines) for i in range(3)]
    fits = sum(widths) + 4 <= shutil.get_terminal_size((200, 24)).columns
    between = "  " if fits else f"\n{INDENT}"
    left, right, shape = widths if fits else (0, *widths[1:])
    return "\n".join(f"{a:<{left}}{between}{b:<{right}}  {c:<{shape}}".rstrip() for a, b, c in lines)


def end(done: Mapping) -> str:
    """What was done, in a few lines."""
    marks = done["source_fingerprint"], done["fingerprint"]
    same = "as the source's" if marks[0] == marks[1] else f"the source's is {marks[0]}: its {done['source_dtype']} was rounded"
    lines = [
        f"{done['destination']} ({done['format']}, {done['dtype']}): {done['parameters']:,} parameters, {done['bytes']:,} bytes",
        f"fingerprint {marks[1]}, {same}",
    ]
    if done["vocabulary"]:
        lines.append(f"vocabulary {done['vocabulary']}")
    if done["largest_difference_of_logits"] is not None:
        lines.append(f"verified: the largest difference of logits is {done['largest_difference_of_logits']:.2g}")
    return "\n".join(lines)


def _lines(arrays: Sequence[Mapping]) -> Iterator[tuple[str, str, str]]:
    groups: dict[str, list[Mapping]] = {}
    for array in arrays:
        groups.setdefault(LAYER.sub("", array["name"]), []).append(array)
    for group in groups.values():
        first, last = group[0], group[-1]
        before, after = (_merged(first[side], last[side]) for side in ("source", "destination"))
        shape, dtype = (_changed(first[f"source_{what}"], first[what]) for what in ("shape", "dtype"))
        yield before, after, f"{shape} {dtype}"


def _changed(before: object, after: object) -> str:
    return f"{after}" if before == after else f"{before} -> {after}"


def _merged(first: str, last: str) -> str:
    """`layers_{0..23}/scale` of `layers_0/scale` and `layers_23/scale`."""
    pairs = zip(NUMBER.split(first), NUMBER.split(last), strict=True)
    return "".join(a if a == b else f"{{{a}..{b}}}" for a, b in pairs)
