"""TPU slices and machines with GPUs by name: what one is made of, and what Google calls it.

A TPU's name counts chips for v5e and v6e, and TensorCores, of which a chip has two, for v4, v5p and tpu7x. On GKE a machine of
several chips has four; the Cloud TPU API gives the 8 chips of v5litepod-8 and v6e-8 as one machine. Left out are slices of more
than 2,048 chips, and odd shapes.
"""

import math
from dataclasses import dataclass

from ptune_cli.errors import UserError, nearest


@dataclass(frozen=True)
class Accelerator:
    """One slice of a TPU, or one machine with GPUs."""

    name: str
    hosts: int  # virtual machines, on GKE
    chips_per_host: int
    topology: str  # of the chips, as 4x4; GPUs: ""
    memory: int  # of a chip, in GB
    label: str  # the chip's name on GKE
    machine: str  # the type of virtual machine
    runtime_version: str  # of the Cloud TPU API; "" if that does not serve it

    @property
    def chips(self) -> int:
        """Of the whole slice."""
        return self.hosts * self.chips_per_host

    @property
    def cloud_tpu_hosts(self) -> int:
        """Virtual machines on the Cloud TPU API, which has machines of eight chips of v5e and v6e."""
        return 1 if self.chips == 8 and self.topology.count("x") == 1 else self.hosts

    @property
    def is_tpu(self) -> bool:
        """False for GPUs."""
        return bool(self.topology)


@dataclass(frozen=True)
class _Tpu:
    """One generation: its topologies are 1 chip, 4 chips, and whole machines of 4."""

    prefix: str
    cores: int  # counted in the name, for each chip
    memory: int
    label: str
    machine: str
    runtime_version: str
    topologies: str

    def slices(self) -> list[Accelerator]:
        return [self._slice(topology) for topology in self.topologies.split()]

    def _slice(self, topology: str) -> Accelerator:
        chips = math.prod(map(int, topology.split("x")))
        each = min(chips, 4)
        name, machine = f"{self.prefix}-{chips * self.cores}", f"{self.machine}-{each}t"
        return Accelerator(name, chips // each, each, topology, self.memory, self.label, machine, self.runtime_version)


_CUBES = "2x2x1 2x2x2 2x2x4 2x4x4 4x4x4 4x4x8 4x8x8 8x8x8 8x8x12 8x8x16 8x16x16"
_SQUARES = "1x1 2x2 2x4 4x4 4x8 8x8 8x16 16x16"

_TPUS = (
    _Tpu("v4", 2, 32, "tpu-v4-podslice", "ct4p-hightpu", "tpu-ubuntu2204-base", _CUBES),
    _Tpu("v5litepod", 1, 16, "tpu-v5-lite-podslice", "ct5lp-hightpu", "v2-alpha-tpuv5-lite", _SQUARES),
    _Tpu("v5p", 2, 95, "tpu-v5p-slice", "ct5p-hightpu", "v2-alpha-tpuv5", _CUBES),
    _Tpu("v6e", 1, 32, "tpu-v6e-slice", "ct6e-standard", "v2-alpha-tpuv6e", _SQUARES),
    _Tpu("tpu7x", 2, 192, "tpu7x", "tpu7x-standard", "", f"1x1x1 {_CUBES}"),
)

# name, GPUs of a machine, memory of each in GB, GKE's label, type of machine
_GPUS = (
    *((f"a100-40gb-{n}", n, 40, "nvidia-tesla-a100", f"a2-highgpu-{n}g") for n in (1, 2, 4, 8)),
    *((f"a100-80gb-{n}", n, 80, "nvidia-a100-80gb", f"a2-ultragpu-{n}g") for n in (1, 2, 4, 8)),
    *((f"h100-80gb-{n}", n, 80, "nvidia-h100-80gb", f"a3-highgpu-{n}g") for n in (1, 2, 4, 8)),
    ("h100-mega-80gb-8", 8, 80, "nvidia-h100-mega-80gb", "a3-megagpu-8g"),
    ("h200-141gb-8", 8, 141, "nvidia-h200-141gb", "a3-ultragpu-8g"),
)

ACCELERATORS = {
    accelerator.name: accelerator
    for accelerator in (
        *(item for generation in _TPUS for item in generation.slices()),
        *(Accelerator(name, 1, n, "", memory, label, machine, "") for name, n, memory, label, machine in _GPUS),
    )
}


def lookup(name: str) -> Accelerator:
    """The accelerator of that name; UserError with the nearest one."""
    if name not in ACCELERATORS:
        given = name.lower().replace("v5e-", "v5litepod-").replace("tpu-v", "v")
        raise UserError(f"no accelerator '{name}'", nearest(given, _beside(given)))
    return ACCELERATORS[name]


def _beside(given: str) -> list[str]:
    """The names of the same family; all of them, if there is no such family."""
    family = given.partition("-")[0]
    return [name for name in ACCELERATORS if name.partition("-")[0] == family] or list(ACCELERATORS)
