"""The length limits of a run, checked against its data: what is cut is said, and targets are not cut in silence."""

from collections.abc import Mapping

import numpy as np

from ptune_cli.data.batches import Lengths
from ptune_cli.data.prepared import Prepared
from ptune_cli.errors import UserError


def limits(
    splits: Mapping[tuple[str, str], Prepared], inputs: int, targets: int | None, cut_targets: bool, prompt: int = 0
) -> tuple[Lengths, list[str]]:
    """The lengths in tokens (EOS included, prompt not), and a note for each split that loses some.

    `targets` None means the longest target of these splits; `prompt` is the rows of the longest prompt. Where no input is as
    long as `inputs`, the longest of them is the limit. Raises UserError if targets would be cut and `cut_targets` is false: a
    cut "not_entailment" is another answer.
    """
    longest_input = max(int(split.input_lengths.max(initial=1)) + 1 for split in splits.values())
    longest = max(int(split.target_lengths.max(initial=0)) + split.targets_end for split in splits.values())
    given = longest if targets is None else targets
    if min(inputs, given) < 2:
        raise UserError(f"input_length {inputs} and target_length {given} must be at least 2 (one token, EOS)")
    found, notes = Lengths(min(inputs, longest_input), given, prompt), []
    for (task, name), split in splits.items():
        for kind, lengths, limit in (
            ("inputs", split.input_lengths + 1, inputs),
            ("targets", split.target_lengths + split.targets_end, found.targets),
        ):
            cut = int(np.count_nonzero(lengths > limit))
            if not cut:
                continue
            note = f"{task} {name}: {cut} of {len(split)} {kind} ({100 * cut / len(split):.1f}%) are cut to {limit} tokens"
            if kind == "targets" and not cut_targets:
                raise UserError(note, f"raise target_length to {longest}, or allow it with truncate_targets")
            notes.append(note)
    return found, notes
