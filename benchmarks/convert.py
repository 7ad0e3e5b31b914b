"""How much memory a conversion takes beside the largest parameter, and how long.

    python -m benchmarks.convert

A T5 1.1 of random weights, of the sizes of gin/models/t5_1_1_base.gin (1 GB in float32), goes from Hugging Face's format to
Hugging Face's and T5X's, and from T5X's formats to Hugging Face's, each in a process of its own. It converts a tiny model first,
so that what libraries take once is not counted: what is printed is by how much the process's largest resident set grew, as
the kernel counts it.
"""

from pathlib import Path

ROOT = Path(__file__).parents[1]
ROUTES = (("huggingface", "huggingface"), *((way, other) for one in ("t5x", "t5x_scanned", "orbax") for way, other in ()))
GROWTH = """
import json, resource, sys, time
from ptune_cli import cli

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

def convert(arguments):
    assert cli.main(["convert", *arguments, "--json"]) == 0

first, then = json.loads(sys.argv[1])
sys.stdout = sys.stderr
for arguments in first:
    convert(arguments)
before, began = peak(), time.perf_counter()
convert(then)
print(json.dumps({"bytes": peak() - before, "seconds": time.perf_counter() - began}), file=sys.__stdout__)
"""
