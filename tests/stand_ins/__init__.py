"""Programs that stand in for gcloud and kubectl, and for what a TPU's machine has."""

import os
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def install(name: str, folder: Path) -> str:
    """Put the program `name` into `folder`, to be run by this Python; the PATH on which it comes first."""
    folder.mkdir()
    (folder / name).write_text(f"#!{sys.executable} -S\n{(FOLDER / f'{name}.py').read_text()}")
    (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"
