"""How large everything is that the parts of `benchmarks/accelerator.py` measure."""

from dataclasses import replace
from typing import NamedTuple

from benchmarks.model_sizes import config_of
from ptune_cli.t5.config import T5Config


class Plan(NamedTuple):
    """How large everything is."""

    batch: int = 32  # rows of a prompt at each step
    positions: int = 512  # of a row, the prompt included
    prompt: int = 100
    member_positions: int = 256
    members: int = 5
    side: int = 8192  # of the matrices whose product is the rate
    attention: tuple[tuple[int, int, int, int], ...] = ((16, 32, 512, 64), (16, 32, 612, 64))  # rows, heads, positions, head_dim
    shapes: str = "1x128,8x128,32x128,128x128,8x256,32x256,128x256,8x612,32x612,96x612"
    tiny: bool = False


FULL = Plan()
QUICK = Plan(4, 32, 8, 32, 2, 64, ((2, 2, 32, 16),), "1x24,2x32", tiny=True)
MICROBATCH = {"xl": 16, "xxl": 4}  # rows, where the whole batch does not fit a card of 80 GB


def sizes(size: str, plan: Plan) -> T5Config:
    """In bfloat16, without dropout; a tiny network if the plan says so."""
    config = replace(config_of(size), dtype="bfloat16", dropout_rate=0.0)
    if not plan.tiny:
        return config
    small = {"vocab_size": 512, "emb_dim": 64, "num_heads": 4, "head_dim": 16, "mlp_dim": 128}
    return replace(config, num_encoder_layers=1, num_decoder_layers=1, **small)
