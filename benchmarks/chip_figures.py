"""What the makers state of chips: the peak of bfloat16 products, and what a chip sends to its neighbours."""

from typing import NamedTuple

from benchmarks.device_facts import STATED


class Chip(NamedTuple):
    """Peak figures of one chip."""

    rate: float  # bfloat16 operations a second, dense
    sends: float  # bytes a second over all links at once: half of what is stated, which counts both directions


# By the beginning of the names in ptune_cli/launchers/accelerators.py. Google: "peak compute per chip (bf16)" and "bidirectional
# inter-chip interconnect (ICI) bandwidth (per chip)" of docs.cloud.google.com/tpu/docs/v5e, /v5p and /v6e. NVIDIA: the H100 SXM's
# data sheet, NVLink. Left out is tpu7x, of whose chips JAX makes two devices each, so that the bounds of a chip are not theirs.
CHIPS = {
    "v5litepod": Chip(197e12, 400e9 / 2),
    "v5p": Chip(459e12, 1200e9 / 2),
    "v6e": Chip(918e12, 800e9 / 2),
    "h100-80gb": Chip(STATED["NVIDIA H100 80GB HBM3"], 900e9 / 2),
}


def chip_of(accelerator: str) -> Chip:
    """The chip of "v5p-32". KeyError if the table has not got it."""
    return CHIPS[accelerator.rpartition("-")[0]]
