"""The wheel has everything that runs need and nothing else, and works where there is no checkout."""

import configparser
import os
import shutil
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ptune_cli import __version__

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel of this checkout, built from a copy, so that an old build/ cannot get into it."""
    source, folder = tmp_path_factory.mktemp("source") / "ptune", tmp_path_factory.mktemp("wheel")
    leave_out = shutil.ignore_patterns(".*", "build", "runs_", "corpora", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, ignore=leave_out)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--wheel-dir", folder, source], check=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """An environment with the wheel in it; what ptune depends on is borrowed from the environment of the tests."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, wheel], check=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    # A path in a .pth file is only appended to sys.path: .pth files there, such as that of an editable ptune, are not read.
    (packages / "borrowed.pth").write_text("\n".join(site.getsitepackages()))
    return folder


def run(installed: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [installed / "bin" / arguments[0], *arguments[1:]]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def test_the_wheel_holds_all_code_gin_files_models_and_task_data_and_nothing_else(wheel):
    expected = {path.relative_to(ROOT).as_posix() for name in ("ptune_cli", "tasks") for path in (ROOT / name).rglob("*.py")}
    expected |= {f"ptune_cli/gin_files/{path.relative_to(ROOT / 'gin').as_posix()}" for path in (ROOT / "gin").rglob("*.gin")}
    data = [*(ROOT / "ptune_cli" / "assets").rglob("*"), *(ROOT / "tasks" / "data").rglob("*")]
    data += (ROOT / "ptune_cli" / "reports").glob("*.json")
    expected |= {path.relative_to(ROOT).as_posix() for path in data if path.is_file()}
    assert {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name} == expected


def test_setup_cfg_names_every_package():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    named = set(config["options"]["packages"].split())
    folders = {path.parent for name in ("ptune_cli", "tasks") for path in (ROOT / name).rglob("__init__.py")}
    assert named == {path.relative_to(ROOT).as_posix().replace("/", ".") for path in folders} | {"ptune_cli.gin_files"}


def test_an_installed_wheel_is_what_runs(installed, tmp_path):
    assert run(installed, tmp_path, "ptune", "--version").stdout == f"ptune {__version__}\n"
    script = "import gin, ptune_cli; from ptune_cli.config import search; print(gin.__file__, ptune_cli.__file__, search.SHIPPED)"
    gin, package, gin_files = run(installed, tmp_path, "python", "-c", script).stdout.split()
    assert Path(package).is_relative_to(installed)
    assert Path(gin_files).is_relative_to(installed)
    assert not Path(gin).is_relative_to(installed)  # gin-config's


def test_an_installed_wheel_trains_from_an_empty_folder(installed, tmp_path):
    quick = "--model.checkpoint nano --seeds 0 --steps 2 --test_split None --every.before_training false --output run"
    done = run(installed, tmp_path, "ptune", "train", "--gin", "runs/demo.gin", *quick.split())
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "run").glob("prompts/*/prompt.safetensors"))
