"""A T5 with a prompt among its parameters, under the name that it has in the original code's checkpoints."""

from collections.abc import Callable

import flax.linen as nn
import jax

from ptune_cli.t5.model import T5, Stack

PromptInit = Callable[[jax.Array, tuple[int, int]], jax.Array]  # (key, (P, D)) -> float32 [P, D]


class PromptTable(nn.Module):
    """The prompt's rows, a parameter named `prompt`."""

    shape: tuple[int, int]
    init_rows: PromptInit

    def setup(self):
        self.prompt = self.param("prompt", self.init_rows, self.shape)


class PromptHolder(nn.Module):
    """A level of names: in the original code's checkpoints a prompt is `encoder/prompt/prompt/prompt`."""

    shape: tuple[int, int]
    init_rows: PromptInit

    def setup(self):
        self.prompt = PromptTable(self.shape, self.init_rows)


class PromptedEncoder(Stack):
    """An encoder with a prompt among its parameters, which says nothing of where the prompt goes."""

    prompt_length: int
    prompt_init: PromptInit

    def setup(self):
        super().setup()
        self.prompt = PromptHolder((self.prompt_length, self.config.emb_dim), self.prompt_init)

    def table(self) -> jax.Array:
        """The prompt [P, D] float32."""
        return self.prompt.prompt.prompt


class PromptedT5(T5):
    """A T5 whose encoder holds the prompt."""

    prompt_length: int
    prompt_init: PromptInit

    def make_encoder(self) -> PromptedEncoder:
        return PromptedEncoder(self.config, "encoder", self.prompt_length, self.prompt_init)

    def prompt_table(self) -> jax.Array:
        """The prompt [P, D] float32."""
        return self.encoder.table()
