"""What may be imported where: a fast start, and no TensorFlow outside the preparation of data."""

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import ptune_cli

ROOT = Path(__file__).parent.parent
MODULES = [module.name for module in pkgutil.walk_packages(ptune_cli.__path__, "ptune_cli.")]


def python(script: str) -> str:
    """What a fresh Python prints, started in the repository."""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_imports_the_standard_library_alone():
    script = """
import sys, json
before = set(sys.modules)
from ptune_cli import cli
cli.main(["--help"])
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""
    imported = set(json.loads(python(script).splitlines()[-1]))
    assert imported <= sys.stdlib_module_names | {"ptune_cli"}


def test_everything_but_preparing_data_imports_without_tensorflow():
    """seqio, TensorFlow, Torch and T5X cannot be imported in this process; every module of ptune but theirs can."""
    theirs = {"ptune_cli.data.prepare", *(f"ptune_cli.t5x_runtime.{name}" for name in ("model", "optimizer", "saving"))}
    modules = [name for name in MODULES if name not in theirs]
    script = f"""
import sys, importlib
for name in ("tensorflow", "tensorflow_datasets", "tensorflow_text", "seqio", "t5x", "torch", "transformers"):
    sys.modules[name] = None
for name in {modules}:
    importlib.import_module(name)
"""
    python(script)


def test_training_imports_what_its_start_needs():
    """Orbax waits for the first checkpoint, pictures and metrics' libraries for the first that is made of them."""
    script = """
import sys
import ptune_cli.commands.train
print([name for name in ("orbax", "matplotlib", "scipy.stats", "sklearn", "tensorboardX", "tensorflow") if name in sys.modules])
"""
    assert python(script) == "[]\n"


def test_the_gin_folder_does_not_hide_gin():
    assert not list((ROOT / "gin").rglob("__init__.py"))
    assert "site-packages" in python("import gin; print(gin.__file__)")
