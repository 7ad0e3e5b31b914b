"""What it costs to split a step of prompt tuning over a mesh: its seconds, and what a device sends and holds.

    python -m benchmarks.mesh_curve

A small T5 with random weights, float32, on virtual devices of this machine's processor: one process with 1, 2, 4 and 8 of them,
two processes with 1, 2 and 4 each, and every mesh of data x model that these make; each layout runs in processes of its own.

Virtual devices share the machine's cores, so the seconds do not say how much faster real devices would be. What splitting adds
(smaller products, sums over devices, between processes a loopback connection) shows in the processor's time, all threads of all
processes: `ratio` is that of one device's. A step on several virtual devices may still end sooner than on one, which leaves
cores idle. What a device sends is counted from the compiled program, for rings (benchmarks/collectives.py), and is
what real devices would send, save for what their compilers merge (benchmarks/pod_table.py). That all meshes compute the same is
checked by their losses.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.step_results import kept, machine

ROOT = Path(__file__).parents[1]
LAYOUTS = "1x1,1x2,1x4,1x8,2x1,2x2,2x4"
SAME = 1e-4  # of a loss
SETTINGS = {"width": 256, "layers": 2, "rows": 16, "positions": 128, "prompt": 20, "steps": 7}
CAPTION = (
    "Devices: processes x virtual devices of each, all on this machine's cores. The ratio, of CPU seconds to the first line, "
    "says what splitting adds; the seconds say nothing of real devices. Sent in a step, and held of weights: by a device."
)
Line = dict[str, Any]


def layout(processes: int, devices: int, settings: dict[str, int]) -> list[Line]:
    """A line for each mesh of so many processes with so many devices each. RuntimeError if one of them fails."""
    own: list[dict[str, Any]] = [settings]
    if processes == 2:
        coordinator = f"127.0.0.1:{free_port()}"
        own = [settings | {"coordinator": coordinator, "process": i} for i in range(2)]
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    started = [_start(each, environment) for each in own]
    found = [_result(process) for process in started]
    together = [sum(line["cpu_seconds"] for line in lines) for lines in zip(*found, strict=True)]
    own_lines = zip(found[0], together, strict=True)
    return [{"processes": processes, "devices": devices, **line, "cpu_seconds": seconds} for line, seconds in own_lines]


def _start(settings: dict[str, Any], environment: dict[str, str]) -> subprocess.Popen:
    command = [sys.executable, "-m", "benchmarks.mesh_part", json.dumps(settings)]
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _result(process: subprocess.Popen) -> list[Line]:
    out, error = process.communicate()
    if process.returncode:
        raise RuntimeError(error[-2000:])
    return json.loads(next(line for line in out.splitlines() if line.startswith("[{")))  # gloo says something too


def free_port() -> int:
    """Of the loopback interface."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def completed(found: Sequence[Line], settings: dict[str, int]) -> list[Line]:
    """The lines with their ratios to the first one. RuntimeError if the losses differ by more than rounding."""
    first = found[0]
    if odd := [line for line in found if not abs(line["loss"] - first["loss"]) <= SAME * first["loss"]]:
        raise RuntimeError(f"the meshes do not compute the same: a loss of {first['loss']}, and {odd[0]}")
    common = settings | machine(ROOT) | {"versions": {"jax": jax.__version__}}
    return [line | {"ratio": line["cpu_seconds"] / first["cpu_seconds"]} | common for line in found]


def table(found: Sequence[Line]) -> Table:
    """A section for each layout, a line for each mesh."""
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0), caption=CAPTION, caption_justify="left")
    for column in ("devices", "data x model", "s/step", "CPU s", "ratio", "MB sent", "MB held"):
        table.add_column(column, justify="right", no_wrap=True)
    for before, line in zip([found[0], *found], found, strict=False):
        if before["processes"] != line["processes"] or before["devices"] != line["devices"]:
            table.add_section()
        where = f"{line['processes']} x {line['devices']}", f"{line['data']} x {line['model']}"
        sizes = f"{line['sent_bytes'] / 1e6:.2f}", f"{line['weight_bytes'] / 1e6:.2f}"
        table.add_row(*where, f"{line['seconds']:.3f}", f"{line['cpu_seconds']:.3f}", f"{line['ratio']:.2f}", *sizes)
    return table


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="What it costs to split a step of prompt tuning over a mesh.")
    parser.add_argument("--layouts", default=LAYOUTS, help="one or two processes x devices of each; ratios are to the first")
    for name, value in SETTINGS.items():
        parser.add_argument(f"--{name}", type=int, default=value, help=f"{value}")
    parser.add_argument("--json", action="store_true", help="print lines of JSON, not a table")
    parser.add_argument("--append", type=Path, metavar="FILE", help="add the lines of JSON to a file")
    return parser.parse_args()


def main() -> None:
    """Measures, and prints what was found."""
    options = arguments()
    settings = {name: getattr(options, name) for name in SETTINGS}
    layouts = [tuple(map(int, text.split("x"))) for text in options.layouts.split(",")]
    found = completed([line for processes, devices in layouts for line in layout(processes, devices, settings)], settings)
    if not kept(found, options.append, options.json):
        Console().print(table(found))


if __name__ == "__main__":
    main()
