"""gin files and flags -> one frozen dataclass, every value checked and traced to where it was set.

    train, text = config.load(Train, files=["runs/demo.gin"], bindings=["train.Train.steps=200"], flags={"seeds": "0,1"})

A flag wins over `--gin.NAME=VALUE`, which wins over files; of two files the later wins. `text` alone rebuilds an equal object.

gin's parser reads the syntax, and `from __gin__ import dynamic_registration` means what it means in gin, but gin's registry
takes no part: it forgets where a value was set, ignores a setting that nothing uses, and is one global state per process.
Nothing here is global, so threads may load at once. Five differences from gin, each on the side of saying so:
- a class's settings also reach objects that are Python defaults (gin silently leaves those alone);
- a class's settings also reach objects of the classes derived from it (`ptune plan` takes those of Train);
- a setting on the command line that nothing uses is an error; in a file it is a warning;
- a reference is built where it stands, so it must end in `()`, and only dataclasses can be referred to;
- every value must fit the annotation of its field.

What a command declares, all of it in its own dataclass:
- help: the docstring of the class (what it does, an example) and the comment on or above each field;
- `field(metadata={"positional": True})`: also given without a name; a tuple takes all the arguments that remain;
- `field(metadata={"saved": False})`: left out of the resolved text, so it may differ between a run and its resumption
  (offline, json). Such a field needs a default.
"""

from ptune_cli.config.resolving import Resolved, load, resolve

__all__ = ["Resolved", "load", "resolve"]
