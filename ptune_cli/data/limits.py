"""The length limits of a run, checked against its data: what is cut is said, and targets are not cut in silence."""

from collections.abc import Collection, Mapping

import numpy as np

from ptune_cli.data.examples import Lengths
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
        for (kind, cut), limit in zip(counted(split, found).items(), (inputs, found.targets), strict=True):
            if not cut:
                continue
            note = f"{task} {name}: {cut} of {len(split)} {kind} ({100 * cut / len(split):.1f}%) are cut to {limit} tokens"
            if kind == "targets" and not cut_targets:
                raise UserError(note, f"raise target_length to {longest}, or allow it with truncate_targets")
            notes.append(note)
    return found, notes


def counted(split: Prepared, lengths: Lengths) -> dict[str, int]:
    """How many "inputs" and "targets" of a split are cut to these lengths."""
    over = {
        "inputs": split.input_lengths + 1 > lengths.inputs,
        "targets": split.target_lengths + split.targets_end > lengths.targets,
    }
    return {kind: int(np.count_nonzero(cut)) for kind, cut in over.items()}


def percent_cut(splits: Collection[Prepared], lengths: Lengths) -> dict[str, float]:
    """The shares of the "inputs" and "targets" of these splits, taken together, that are cut to these lengths."""
    examples = sum(map(len, splits))
    return {kind: 100 * sum(counted(split, lengths)[kind] for split in splits) / examples for kind in ("inputs", "targets")}
