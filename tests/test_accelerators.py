"""The table of accelerators, beside the one of Google's own launcher, xpk."""

import csv
from pathlib import Path

import pytest

from ptune_cli.errors import UserError
from ptune_cli.launchers.accelerators import ACCELERATORS, lookup

# name, topology, machines, chips of each, GKE's label, type of machine: made by make.py beside it
LINES = (Path(__file__).parent / "oracles" / "launchers" / "xpk_accelerators.csv").read_text().splitlines()
XPK = {row["name"]: row for row in csv.DictReader(line for line in LINES if not line.startswith("#"))}
# Which xpk does not have, but GKE or the Cloud TPU API does.
OURS = {"v5litepod-1", "v5litepod-4", *(f"a100-80gb-{n}" for n in (1, 2, 4, 8)), *(f"h100-80gb-{n}" for n in (1, 2, 4))}


def test_every_accelerator_is_what_xpk_says():
    assert set(ACCELERATORS) - set(XPK) == OURS
    for name in set(ACCELERATORS) & set(XPK):
        ours, xpk = ACCELERATORS[name], XPK[name]
        assert (ours.topology or "N/A", str(ours.hosts), str(ours.chips_per_host)) == (xpk["topology"], xpk["vms"], xpk["chips"])
        assert (ours.label, ours.machine) == (xpk["label"], xpk["machine"])


def test_a_topology_has_as_many_chips_as_the_hosts():
    for accelerator in ACCELERATORS.values():
        product = 1
        for n in accelerator.topology.split("x") if accelerator.is_tpu else [accelerator.chips]:
            product *= int(n)
        assert accelerator.chips == product


def test_the_number_in_a_name_counts_chips_of_v5e_v6e_and_gpus_and_cores_of_the_others():
    for name, accelerator in ACCELERATORS.items():
        per_chip = 2 if name.startswith(("v4", "v5p", "tpu7x")) else 1
        assert int(name.rpartition("-")[2]) == accelerator.chips * per_chip


def test_the_cloud_tpu_api_serves_tpus_up_to_v6e():
    served = {name.partition("-")[0] for name, accelerator in ACCELERATORS.items() if accelerator.runtime_version}
    assert served == {"v4", "v5litepod", "v5p", "v6e"}


@pytest.mark.parametrize(
    "given, meant",
    [
        ("v5e-16", "v5litepod-16"),
        ("tpu-v6e-8", "v6e-8"),
        ("v5p-33", "v5p-32"),
        ("h100", "h100-80gb-8"),
        ("H200-141GB-8", "h200-141gb-8"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(given, meant):
    with pytest.raises(UserError, match=f"no accelerator '{given}'; did you mean '{meant}'"):
        lookup(given)
