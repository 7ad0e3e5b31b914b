"""How much memory a conversion takes beside the largest parameter, and how long it takes.

    python -m benchmarks.convert

A T5 1.1 of random weights, of the sizes in gin/models/t5_1_1_base.gin (1 GB in float32), goes from Hugging Face's format to that
and to T5X's, and back from those. Each conversion is a process of its own, which converts a tiny model first, so that what its
libraries take once is not counted: printed is by how much its largest resident set grew then, as the kernel counts it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from math import prod
from pathlib import Path

import numpy as np

from ptune_cli import config
from ptune_cli.base_model import BaseModel
from ptune_cli.formats import huggingface_writing
from ptune_cli.formats.model_formats import FORMATS
from ptune_cli.t5.config import T5Config, parameter_count, parameter_shapes

ROOT = Path(__file__).parents[1]
SMALL = T5Config(vocab_size=16, emb_dim=8, num_heads=2, head_dim=4, mlp_dim=16, num_encoder_layers=1, num_decoder_layers=1)


def write_random(folder: Path, sizes: T5Config) -> None:
    """Float32 weights as a Hugging Face folder; in memory is the largest."""
    draw = np.random.default_rng(0)
    with huggingface_writing.writing(folder, sizes, "float32") as put:
        for name, shape in parameter_shapes(sizes).items():
            put(name, shape, draw.standard_normal(shape, np.float32).__getitem__)


def arguments(source: Path, destination: Path, sizes: T5Config, form: str) -> list[str]:
    """The command line of a conversion, with the sizes as flags."""
    flags = {name: ",".join(value) if isinstance(value, tuple) else value for name, value in asdict(sizes).items()}
    given = [part for name, value in flags.items() if value is not None for part in (f"--model.config.{name}", str(value))]
    return ["convert", str(source), str(destination), "--format", form, "--json", *given]


def growth(small: Sequence[Sequence[str]], large: Sequence[Sequence[str]]) -> dict:
    """{"bytes", "seconds"} of the `large` conversions of a process, beyond the `small` ones before them."""
    command = [sys.executable, "-m", "benchmarks.convert", "--part", json.dumps([small, large])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"benchmarks.convert: a conversion ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def part(small: Sequence[Sequence[str]], large: Sequence[Sequence[str]]) -> None:
    """What `growth` starts: prints the figures on the last line."""
    from ptune_cli import cli

    codes = [cli.main(list(line)) for line in small]
    before, began = peak(), time.perf_counter()
    codes += [cli.main(list(line)) for line in large]
    if any(codes):
        sys.exit(max(codes))
    print(json.dumps({"bytes": peak() - before, "seconds": time.perf_counter() - began}))


def peak() -> int:
    """The largest resident set of this process in bytes. Not `getrusage`, which counts that of its parent before it began."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def measured(folder: Path, sizes: T5Config, formats: Sequence[str]) -> Iterator[dict]:
    """Of a model of these sizes: to each of `formats` and back. {"from", "to", "bytes", "seconds"} of each."""
    models = {"small": SMALL, "large": sizes}
    for size, model in models.items():
        write_random(folder / size / "start", model)
    for form in formats:
        routes = (("huggingface", form, "start", f"to_{form}"), (form, "huggingface", f"to_{form}", f"from_{form}"))
        for before, after, source, new in routes:
            lines = [[arguments(folder / size / source, folder / size / new, model, after)] for size, model in models.items()]
            yield {"from": before, "to": after, **growth(*lines)}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        return part(*json.loads(options.part))
    model, _ = config.load(BaseModel, ["models/t5_1_1_base.gin"])
    sizes = model.config
    assert sizes is not None
    largest = max(map(prod, parameter_shapes(sizes).values())) * 4
    print(f"{parameter_count(sizes) * 4 / 1e6:,.0f} MB of weights, the largest parameter {largest / 1e6:,.0f} MB")
    with tempfile.TemporaryDirectory() as folder:
        for row in measured(Path(folder), sizes, list(FORMATS)):
            beyond = (row["bytes"] - 1.5 * largest) / 1e6
            route = f"{FORMATS[row['from']].name} -> {FORMATS[row['to']].name}"
            print(f"{route:<45} {row['bytes'] / 1e6:4,.0f} MB = 1.5 x largest {beyond:+5,.0f} MB, {row['seconds']:4.1f} s")


if __name__ == "__main__":
    main()
