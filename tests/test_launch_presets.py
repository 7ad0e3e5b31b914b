"""The files of gin/launch: the memory that their comments promise is there, and their example fits the accelerator."""

import re
from pathlib import Path

import pytest

from ptune_cli import config
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
