"""The files of gin/launch: the memory that their comments promise is there, and their example fits the accelerator."""

import re
import shlex
from pathlib import Path

import pytest

from ptune_cli import config
from ptune_cli.commands.launch import Launch
from ptune_cli.commands.train import Train
from ptune_cli.config import flags
from ptune_cli.config.resolving import Resolved
from ptune_cli.launchers.accelerators import Accelerator, lookup
from ptune_cli.t5.config import T5Config, parameter_count

GIN = Path(__file__).parent.parent / "gin"
PRESETS = sorted((GIN / "launch").glob("*.gin"))
README = (GIN.parent / "README.md").read_text()
BATCH = 32  # runs/lester2021.gin's


def found(pattern: str, text: str) -> tuple[str, ...]:
    match = re.search(pattern, text)
    assert match, pattern
    return match.groups()


def mesh_of(text: str) -> tuple[int, int]:
    data, model = found(r"train .* --mesh data=(\d+),model=(\d+) ", text)
    return int(data), int(model)


def accelerator_of(text: str) -> Accelerator:
    return lookup(*found(r'\.accelerator = "(.+)"', text))


def resolved(cls: type, arguments: list[str]) -> Resolved:
    """As the command line does."""
    given = flags.parse(cls, arguments)
    return config.resolve(cls, given.files, given.bindings, given.flags, given.search_paths)


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_the_example_is_a_command_line_that_works(path):
    example = next(line for line in path.read_text().splitlines() if line.startswith("# ptune launch "))
    words = shlex.split(example.replace("ZONE", "zone").replace("IMAGE", "image").replace("CLAIM", "claim"))
    launch = resolved(Launch, words[3:])
    assert f"--gin launch/{path.name} " in example and not launch.unused
    assert launch.object.launcher.accelerator == accelerator_of(path.read_text()).name
    assert launch.object.command[0] == "train"
    assert resolved(Train, list(launch.object.command[1:])).object.mesh


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_the_mesh_has_all_the_chips(path):
    data, model = mesh_of(path.read_text())
    assert data * model == accelerator_of(path.read_text()).chips


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_the_memory_of_a_chip_adds_up(path):
    """Weights / model, and the activations that the README's measurement leaves for a chip's rows."""
    text = path.read_text().replace("\n# ", " ")
    data, model = mesh_of(text)
    size, accelerator = path.stem.partition("_")[0], accelerator_of(text)
    parameters = parameter_count(config.load(T5Config, [f"models/t5_1_1_{size}.gin"])[0])
    weights = parameters * 2 / 1e9
    peak = float(found(rf"\| {size}, in two microbatches \| .* \| (\S+) \|\n", README)[0])
    activations = (peak - weights) * (BATCH / data) / (BATCH / 2)
    assert f"{parameters:,} parameters" in text
    assert float(found(r"= (\S+) GB of weights", text)[0]) == pytest.approx(weights / model, abs=0.051)
    total, memory = found(r": (?:at most )?([\d.]+) GB of (\d+)[.,]", text)
    assert float(total) == pytest.approx(weights / model + activations, abs=0.1)
    assert int(memory) == accelerator.memory and float(total) < 0.9 * accelerator.memory
