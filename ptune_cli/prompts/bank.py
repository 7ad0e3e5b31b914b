"""A bank of prompts over one frozen model: who its members are, and which rows of the prompt table are whose.

A batch's encoder ids are token ids >= 0 or *slots* < 0: slot -(r+1) is row r of the table, and the table is the members'
prompts one after another. One prompt is a bank of one; seeds, lengths and tasks of a sweep are a bank too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from ptune_cli.errors import UserError, nearest
from ptune_cli.file_task import short_name
from ptune_cli.prompts.init import ClassLabels, Initializer

# Where a prompt [P] of slots goes among the input's ids [T], of which the last is EOS.
PLACEMENTS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "prefix": lambda ids, slots: np.concatenate([slots, ids]),
    "suffix": lambda ids, slots: np.concatenate([ids, slots]),
    "before_eos": lambda ids, slots: np.concatenate([ids[:-1], slots, ids[-1:]]),
    "after_first": lambda ids, slots: np.concatenate([ids[:1], slots, ids[1:]]),
}


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """How prompts begin: the paper's defaults (section 3.2) are 100 rows, class labels, in front of the input."""

    length: int = 100
    init: Initializer = field(default_factory=ClassLabels)
    placement: str = "prefix"
    name: str = ""  # tells members apart when a run has several kinds of prompt

    def __post_init__(self):
        if self.length < 1:
            raise UserError(f"a prompt needs at least one row, not length {self.length}")
        if self.placement not in PLACEMENTS:
            raise UserError(f"no placement '{self.placement}'; {nearest(self.placement, PLACEMENTS)}")


@dataclass(frozen=True)
class Member:
    """One prompt of a bank: a task, a kind of prompt and a seed (of its start, its data order and its dropout)."""

    name: str
    task: str
    seed: int
    prompt: Prompt


def members(tasks: Sequence[str], prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[Member]:
    """Tasks x prompts x seeds. Names are `task-seed`, or `task-kind-seed` when there are several kinds of prompt."""
    bank, called = [], _called(tasks)
    for task in tasks:
        for i, prompt in enumerate(prompts):
            kind = f"-{prompt.name or i}" if len(prompts) > 1 else ""
            bank += [Member(f"{called[task]}{kind}-{seed}", task, seed, prompt) for seed in seeds]
    names = [member.name for member in bank]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"two members are named '{twice[0]}'", "give each task and seed once, and prompts different names")
    return bank


def _called(tasks: Sequence[str]) -> dict[str, str]:
    """What each task is called in names. Two templates of one file have its name; the second is numbered."""
    called: dict[str, str] = {}
    for task in tasks:
        alike = sum(short_name(other) == short_name(task) for other in called)
        called.setdefault(task, f"{short_name(task)}.{alike + 1}" if alike else short_name(task))
    return called


def slots(bank: Sequence[Member]) -> list[np.ndarray]:
    """Each member's slots [P] int32: -(r+1) for its rows r of the table."""
    first = np.cumsum([0] + [member.prompt.length for member in bank])
    return [-1 - np.arange(a, b, dtype=np.int32) for a, b in zip(first, first[1:], strict=False)]


def layout(member: Member, member_slots: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The function from an input's ids [T] (with EOS) to ids [T+P] with the member's slots in their place."""
    place = PLACEMENTS[member.prompt.placement]
    return lambda ids: place(ids, member_slots)


def unchanged(ids: np.ndarray) -> np.ndarray:
    """The layout of an input without a prompt."""
    return ids


def table(prompts: Mapping[str, jax.Array], names: Sequence[str]) -> jax.Array:
    """The prompt table [R, D]: the members' prompts [P, D] in the order of `names`."""
    return jnp.concatenate([prompts[name] for name in names])


def vectors(embed: Callable[[jax.Array], jax.Array], prompt_table: jax.Array, ids: np.ndarray | jax.Array) -> jax.Array:
    """Vectors [B, T, D] of ids [B, T]: the frozen embedding of tokens, a row of the table for slots."""
    tokens = embed(jnp.maximum(ids, 0))
    # Tokens read beyond the table: were it a row of it, their gradients, all zero, would be added to that one row in turn.
    rows = prompt_table.astype(tokens.dtype).at[jnp.where(ids < 0, -ids - 1, len(prompt_table))].get(mode="fill", fill_value=0)
    return jnp.where((ids < 0)[..., None], rows, tokens)
