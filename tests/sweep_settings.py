"""The gin file of short runs on the tiny model that the tests of sweeps have as their base."""

from pathlib import Path

SETTINGS = """
from __gin__ import dynamic_registration
from ptune_cli import base_model
from ptune_cli.commands import train
from ptune_cli.prompts import bank
from ptune_cli.training import loop

base_model.BaseModel.checkpoint = "{model}"
train.Train.model = @base_model.BaseModel()
train.Train.tasks = ("kinds:kinds",)
train.Train.seeds = (0, 1)
train.Train.prompt = @bank.Prompt()
train.Train.steps = 4
train.Train.batch_size = 4
train.Train.input_length = 48
train.Train.positions = 512
train.Train.protocol = "rank"
train.Train.every = @loop.Every()
bank.Prompt.length = 3
loop.Every.evaluate = 2
"""


def write(folder: Path, model: Path) -> str:
    """The file's path."""
    file = folder / "short.gin"
    file.write_text(SETTINGS.format(model=model))
    return str(file)
