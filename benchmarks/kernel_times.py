"""What a device spends its time on in a few steps: JAX's profiler, summed by kind of kernel and by part of the network."""

import re
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.profiler import ProfileData

from benchmarks.network_parts import UNKNOWN, UPDATE, operations, part_of, spelled

LONGEST = 15
MODULE = "jit__accumulate"  # the program of a step's microbatches; the others are the prompts' update
# The first that is found in a kernel's name. Names that none knows are kernels of XLA's fusions.
KINDS = (
    ("fused attention", r"fmha|flash|sdpa|cudnn"),
    ("matrix products", r"gemm|cublas|cutlass|nvjet|xmma|splitk|(^|[_.])dot"),
    ("copies", r"memcpy|memset|copy|transpose"),
    ("reductions", r"reduc|softmax"),
)


class Kernel(NamedTuple):
    """One run of a kernel, nanoseconds, and the part of the network that it computes."""

    name: str
    start: float
    end: float
    part: str


def traced(run: Callable[[], Any], steps: int, hlo: str) -> dict[str, Any]:
    """The summary of so many calls of `run`, one after another, of a step whose compiled text is `hlo`."""
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder, profiler_options=options):
            jax.block_until_ready([run() for _ in range(steps)])
        [file] = Path(folder).rglob("*.xplane.pb")
        return summary(kernels(ProfileData.from_file(str(file)), operations(hlo)), steps)


def kernels(profile: ProfileData, known: dict[str, str]) -> list[Kernel]:
    """All kernels of the first GPU; of a CPU, the operations that its threads say they ran. ValueError if a GPU says nothing."""
    planes = {plane.name: plane for plane in profile.planes}
    device = next((name for name in sorted(planes) if name.startswith("/device:GPU")), None)
    if device is None and jax.default_backend() != "cpu":
        raise ValueError(f"the trace has no GPU; it has {', '.join(planes)}")
    lines = list(planes[device or "/host:CPU"].lines)
    streams = [line for line in lines if line.name.startswith("Stream")] or lines
    found = (_kernel(event, known) for line in streams for event in line.events)
    return [kernel for kernel, of_hlo in found if device or of_hlo]


def _kernel(event: Any, known: dict[str, str]) -> tuple[Kernel, bool]:
    stats = {name: value for name, value in event.stats if name}
    instruction, module = stats.get("hlo_op"), str(stats.get("hlo_module") or MODULE)
    operation = known.get(str(instruction)) or known.get(spelled(event.name)) or stats.get("tf_op")
    part = part_of(operation and str(operation)) if module.startswith(MODULE) else UPDATE
    return Kernel(event.name, event.start_ns, event.start_ns + event.duration_ns, part), instruction is not None


def summary(found: Sequence[Kernel], steps: int) -> dict[str, Any]:
    """Milliseconds of a step from the first kernel to the last, and the shares of that time. ValueError if there are none.

    `idle` is the time in which no kernel ran. Kernels that ran side by side count twice in the other shares.
    """
    if not found:
        raise ValueError("the trace has no kernels")
    wall = max(kernel.end for kernel in found) - min(kernel.start for kernel in found)
    kinds, parts, longest, runs = Counter(), Counter(), Counter(), Counter()
    for kernel in found:
        share, key = (kernel.end - kernel.start) / wall, (_without_number(kernel.name), kernel.part)
        kinds[kind_of(kernel.name)] += share
        parts[kernel.part] += share
        longest[key] += share
        runs[key] += 1
    return {
        "step_ms": wall / steps / 1e6,
        "kernels": len(found) / steps,
        "idle": 1 - _covered(found) / wall,
        "unknown": parts[UNKNOWN],
        "kinds": _rounded(kinds),
        "parts": _rounded(parts),
        "longest": [
            {"name": key[0][:120], "part": key[1], "kind": kind_of(key[0]), "runs": runs[key] / steps, "share": round(share, 4)}
            for key, share in longest.most_common(LONGEST)
        ],
    }


def kind_of(name: str) -> str:
    """Of a kernel."""
    return next((kind for kind, pattern in KINDS if re.search(pattern, name.lower())), "elementwise and other fusions")


def _without_number(name: str) -> str:
    """The layers' fusions are alike, and numbered."""
    return re.sub(r"([_.]\d+)+$", "", name)


def _covered(found: Sequence[Kernel]) -> float:
    """Nanoseconds in which at least one kernel ran."""
    total, until = 0.0, 0.0
    for kernel in sorted(found, key=lambda kernel: kernel.start):
        total += max(kernel.end - max(kernel.start, until), 0.0)
        until = max(until, kernel.end)
    return total


def _rounded(shares: Counter) -> dict[str, float]:
    return {name: round(share, 4) for name, share in shares.most_common()}
