"""What a run needs of the machine, checked one thing at a time. What may be missing is not imported at the top."""

import importlib.metadata as metadata
import importlib.util
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SHOWN = ("jax", "jaxlib", "optax", "flax")  # each with a line of its own; other packages only if something is wrong
TENSORFLOW = ("seqio", "tensorflow", "tensorflow_datasets")
SMALL, FULL = 5e9, 100e6  # bytes: datasets are prepared, and programs kept, in the cache
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)[^;>]*(?:>=(?P<least>[\w.]+))?[^;]*(?:;.*extra == [\"'](?P<extra>\w+))?")

State = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Check:
    """One line: what was looked at, what was found, and what to do. A problem stops a run; a note stops some."""

    name: str
    state: State
    found: str
    advice: str = ""


def checks(vocabulary: str | None) -> list[Check]:
    """All of them. `vocabulary` is a SentencePiece file, folder or gs:// place; None is that of the model that ships."""
    looks: tuple[Callable[[], list[Check]], ...] = (
        _python,
        _packages,
        _devices,
        _tensorflow,
        _cores,
        _cache,
        lambda: _vocabulary(vocabulary),
    )
    return [check for look in looks for check in look()]


def _python() -> list[Check]:
    return [Check("Python", "ok", platform.python_version())]


def _packages() -> list[Check]:
    try:
        required = metadata.requires("ptune") or []
    except metadata.PackageNotFoundError:
        advice = "install it, for its requirements to be checked: pip install --editable ."
        return [*map(_package, SHOWN), Check("ptune", "note", "not installed", advice)]
    needed = [found for text in required if (found := REQUIREMENT.match(text)) and not found["extra"]]
    least = {found["name"]: found["least"] for found in needed}
    shown = [_package(name, least.pop(name, None)) for name in SHOWN]
    others = [_package(*item) for item in least.items()]
    wrong = [check for check in others if check.state != "ok"]
    return [*shown, *wrong, Check("other packages", "ok", f"{len(others) - len(wrong)} of {len(others)} as required")]


def _package(name: str, least: str | None = None) -> Check:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Check(name, "problem", "not installed", f"pip install '{name}{f'>={least}' if least else ''}'")
    if least and _numbers(version) < _numbers(least):
        return Check(name, "note", version, f"the tests ran with {least}: pip install --upgrade {name}")
    return Check(name, "ok", version)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)[:3]]


def _devices() -> list[Check]:
    try:
        import jax

        found = jax.devices()
    except Exception as error:  # of a broken installation: whatever it raises is what the user must see
        return [Check("devices", "problem", f"JAX does not start: {' '.join(str(error).split())}", "mend jax and jaxlib")]
    kinds = {device.device_kind for device in found}
    chosen = "JAX_PLATFORMS" in os.environ
    if found[0].platform == "cpu" and not chosen and Path("/dev/nvidia0").exists():
        return [Check("devices", "note", "cpu, though there is an NVIDIA GPU", "pip install --upgrade 'jax[cuda12]'")]
    return [Check("devices", "ok", f"{len(found)} {found[0].platform} ({', '.join(sorted(kinds))})")]


def _tensorflow() -> list[Check]:
    """Looked for, not imported: that takes seconds."""
    advice = "only needed for seqio tasks and Mesh TensorFlow checkpoints, not for your own files: pip install 'ptune[tasks]'"
    missing = [name for name in TENSORFLOW if importlib.util.find_spec(name) is None]
    if missing:
        return [Check("seqio tasks", "note", f"not installed: {', '.join(missing)}", advice)]
    return [Check("seqio tasks", "ok", f"{', '.join(TENSORFLOW)} are installed")]


def _cores() -> list[Check]:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return [Check("CPU cores", "ok", str(count))]


def _cache() -> list[Check]:
    """Whether it can be written, and how much fits. A folder that is not there yet is judged by the one it would be made in."""
    folder = Path(os.environ.get("PTUNE_CACHE") or "~/.cache/ptune").expanduser()
    place = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
        free = shutil.disk_usage(place).free
    except OSError as error:
        return [Check("cache", "problem", f"{folder} cannot be written: {error.strerror}", "set PTUNE_CACHE to another folder")]
    state: State = "problem" if free < FULL else "note" if free < SMALL else "ok"
    advice = "" if state == "ok" else "free some space, or set PTUNE_CACHE to a folder on another disk"
    return [Check("cache", state, f"{folder} can be written, {free / 1e9:,.1f} GB free", advice)]


def _vocabulary(place: str | None) -> list[Check]:
    try:
        from ptune_cli import shipped
        from ptune_cli.data import vocabularies
        from ptune_cli.errors import UserError
    except ImportError as error:
        return [Check("vocabulary", "problem", f"cannot be read: {error}", f"pip install {error.name}")]
    try:
        found = vocabularies.load(place or str(shipped.ASSETS / "tiny"))
    except UserError as error:
        return [Check("vocabulary", "problem", str(error), "give --vocabulary PATH")]
    return [Check("vocabulary", "ok", f"{found.path}, {found.size:,} ids")]
