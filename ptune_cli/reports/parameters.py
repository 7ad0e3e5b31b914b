"""The paper's Table 4 from our own sizes: how much a prompt of a length is of each T5. JAX is not needed."""

from collections.abc import Sequence
from dataclasses import dataclass

from ptune_cli.config import settings
from ptune_cli.t5.config import T5Config, parameter_count

SIZES = ("small", "base", "large", "xl", "xxl")
LENGTHS = (1, 5, 20, 50, 100, 150)
MODEL = "ptune_cli.base_model.BaseModel"


@dataclass(frozen=True)
class Parameters:
    """Counts of one model with one prompt; only the prompt is trained."""

    size: str
    length: int
    prompt: int
    model: int

    @property
    def total(self) -> int:
        return self.prompt + self.model

    @property
    def percent(self) -> float:
        """The share that is trained."""
        return 100 * self.prompt / self.total


def parameters(sizes: Sequence[str] = SIZES, lengths: Sequence[int] = LENGTHS) -> list[Parameters]:
    """A row for each size of gin/models and each prompt length, in that order. UserError for a size that has no file."""
    configs = {size: config_of(size) for size in sizes}
    return [
        Parameters(size, length, length * config.emb_dim, parameter_count(config))
        for size, config in configs.items()
        for length in lengths
    ]


def config_of(size: str) -> T5Config:
    """The sizes of a T5 1.1, as models/t5_1_1_{size}.gin has them."""
    found = settings.of_file(f"models/t5_1_1_{size}.gin", MODEL)
    return T5Config(**{name.removeprefix("config."): value for name, value in found.items() if name.startswith("config.")})
