"""A conversion holds one parameter and some blocks, however many there are: in a process of its own, as the kernel counts it."""

from math import prod

from benchmarks.convert import SMALL, arguments, growth, write_random
from ptune_cli.t5.config import T5Config, parameter_shapes

# 59 parameters of 2 MB, and small ones
MANY = T5Config(vocab_size=1024, emb_dim=512, num_heads=8, head_dim=128, mlp_dim=1024, num_encoder_layers=5, num_decoder_layers=2)
# What does not grow with the model: chunks that are kept of a T5X checkpoint, a chunk on its way, freed memory not given back
CONSTANT = 64_000_000


def test_memory_is_bounded_by_the_largest_parameter_whatever_the_format(tmp_path):
    sizes = [prod(shape) * 4 for shape in parameter_shapes(MANY).values()]
    assert sum(sizes) > 1.5 * max(sizes) + CONSTANT + 50_000_000
    routes = (("start", "huggingface"), ("start", "t5x"), ("t5x", "huggingface_again"))
    lines = []
    for name, config in (("small", SMALL), ("large", MANY)):
        folder = tmp_path / name
        write_random(folder / "start", config)
        lines.append([arguments(folder / a, folder / b, config, b.removesuffix("_again")) for a, b in routes])
    assert growth(*lines)["bytes"] < 1.5 * max(sizes) + CONSTANT
