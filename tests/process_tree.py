"""What runs below a process, and which addresses it listens on, as Linux tells in /proc."""

import ipaddress
import os
import re
from contextlib import suppress
from pathlib import Path

LISTENS = "0A"  # the state of a socket in /proc/net/tcp


def below(pid: int) -> list[int]:
    """The processes that one has started and that run, and those that they have started; oldest first."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(folder.name)] = int(parent)
    found = [pid]
    for ancestor in found:
        found += sorted(child for child, parent in parents.items() if parent == ancestor)
    return found[1:]


def told(**variables: str) -> list[int]:
    """The processes in whose environment these are; oldest first."""
    wanted, found = {f"{name}={value}".encode() for name, value in variables.items()}, []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted <= set((folder / "environ").read_bytes().split(b"\0")):
                found.append(int(folder.name))
    return sorted(found)


def alive(pid: int) -> bool:
    """Whether it runs: neither ended nor waiting to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def listening(pids: list[int]) -> set[str]:
    """The addresses that they listen on, as "127.0.0.1"."""
    return {_address(row[1]) for row in _sockets() if row[3] == LISTENS and row[9] in _inodes(pids)}


def _sockets() -> list[list[str]]:
    return [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]


def _inodes(pids: list[int]) -> set[str]:
    found = set()
    for pid in pids:
        with suppress(OSError):
            links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
            found |= {match[1] for link in links if (match := re.fullmatch(r"socket:\[(\d+)\]", link))}
    return found


def _address(text: str) -> str:
    """Of 0100007F:1F90: words of four bytes, each the other way around."""
    words = bytes.fromhex(text.partition(":")[0])
    found = ipaddress.ip_address(b"".join(words[i : i + 4][::-1] for i in range(0, len(words), 4)))
    return str(getattr(found, "ipv4_mapped", None) or found)
