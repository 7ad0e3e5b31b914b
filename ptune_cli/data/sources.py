"""Which files a task's module is made of, found without running any of it.

A module of the user's may import TensorFlow, download things or fail, so the program that trains must not import it. It is
found on the import path, parsed, and followed through the imports that stay in its own folder or package.
"""

import ast
import importlib
import importlib.util
import os
import pkgutil
from importlib.machinery import PathFinder
from pathlib import Path

from ptune_cli.errors import UserError, nearest


def source_files(module: str) -> dict[str, Path]:
    """{module name: file} of `module` and of the modules beside it that it imports, directly or not.

    Raises:
        UserError: there is no such module (with the nearest one), or it is not valid Python.
    """
    file = _find(module)[0]
    if file is None:
        raise UserError(f"no module '{module}' on the import path or in {Path.cwd()}; {_nearest_module(module)}")
    packages = _find_top(module.partition(".")[0])[1]
    root = packages[0] if packages else file.parent  # its top package, or the folder it lies in: the task's own code
    found: dict[str, Path] = {}
    pending = {module}
    while pending:
        name = pending.pop()
        file = _find(name)[0]
        if name not in found and file is not None and (name == module or _is_within(file, root)):
            found[name] = file
            pending |= _imports(file, name)
    return found


def literal_files(source: Path) -> dict[str, Path]:
    """{text: file} of every string in `source` that names an existing file: absolute, beside it, or in the current folder.

    That is how most tasks say where their data is. Names put together while running are not seen.
    """
    texts = {node.value for node in ast.walk(_parse(source)) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    candidates = ((text, folder / text) for text in texts for folder in (source.parent, Path.cwd()))
    return {text: path for text, path in candidates if os.path.isfile(path)}


def _find(name: str) -> tuple[Path | None, list[Path]]:
    """The file of a module, if it has one, and the folders that hold its submodules.

    `importlib.util.find_spec("a.b")` would run `a`, so only the first part goes through it.
    """
    top, *rest = name.split(".")
    file, folders = _find_top(top)
    for part in rest:
        candidates = [folder / part for folder in folders]
        files = [f for c in candidates for f in (c / "__init__.py", c.with_name(f"{part}.py")) if f.is_file()]
        file = files[0] if files else None
        folders = [c for c in candidates if c.is_dir()]
    return file, folders


def _find_top(name: str) -> tuple[Path | None, list[Path]]:
    importlib.invalidate_caches()  # the file may have been written a moment ago
    try:
        spec = importlib.util.find_spec(name) or PathFinder.find_spec(name, [os.getcwd()])
    except ValueError:  # __main__ of an interactive session has no spec
        spec = None
    if spec is None:
        return None, []
    file = Path(spec.origin) if spec.has_location and spec.origin else None
    return file, [Path(folder) for folder in spec.submodule_search_locations or ()]


def _is_within(file: Path, root: Path) -> bool:
    """Whether a file is the task's own code, and not a package installed in (or below) the same folder."""
    if not file.is_relative_to(root):
        return False
    return not {"site-packages", "dist-packages"} & {root.name, *file.relative_to(root).parts}


def _imports(file: Path, module: str) -> set[str]:
    """Everything that `module` may import: each name, each `from` member, and the packages above them."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    names: set[str] = {module}
    for node in ast.walk(_parse(file)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return {".".join(name.split(".")[: i + 1]) for name in names if name for i in range(name.count(".") + 1)}


def _parse(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_bytes(), str(file)) if file.suffix == ".py" else ast.Module([], [])
    except SyntaxError as error:
        raise UserError(f"{file}, line {error.lineno}: {error.msg}") from error


def _nearest_module(module: str) -> str:
    """The end of an error about a missing module: what its package, or the current folder, has instead."""
    package = module.rpartition(".")[0]
    folders = _find(package)[1] if package else [Path.cwd()]
    prefix = f"{package}." if folders and package else ""
    names = [prefix + found.name for found in pkgutil.iter_modules([str(f) for f in folders or [Path.cwd()]])]
    return nearest(module, names)
