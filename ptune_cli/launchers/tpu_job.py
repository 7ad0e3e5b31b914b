"""The command lines that take one command through a TPU: put everything there, start, look, fetch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ptune_cli.launchers import remote
from ptune_cli.launchers.tpu_vm import Command, TpuVm


@dataclass(frozen=True)
class Wheel:
    """What is installed, as it was given: a wheel on this machine, FILE.whl or FILE.whl[EXTRA], or what pip understands."""

    given: str

    @property
    def file(self) -> str:
        """Here; "" if it is none."""
        path = self.given.partition(".whl")[0] + ".whl"
        return path if self.given.startswith(path) and "://" not in path else ""

    @property
    def there(self) -> str:
        """What pip is given on a machine."""
        return f"./{remote.HOME}/{Path(self.given).name}" if self.file else self.given


@dataclass(frozen=True, kw_only=True)
class TpuJob:
    """A command and what it needs. `folder`/NAME here and ptune/NAME there are copies of each other."""

    machine: TpuVm
    files: Mapping[Path, str]  # below `copy`
    folder: Path
    wheel: Wheel
    line: str  # of shell, that starts it on a machine

    @property
    def name(self) -> str:
        """The job's, which is also its TPU's."""
        return self.machine.name

    @property
    def copy(self) -> Path:
        """Of the results, here."""
        return self.folder / self.name

    def preparing(self) -> Iterator[Command]:
        """Put ptune, the gin files and what was fetched of an earlier attempt on every machine."""
        for node in self.machine.nodes:
            yield self.machine.ssh(node, f"mkdir -p {remote.HOME}/{self.name}")
            if self.wheel.file:
                yield self.machine.send(node, self.wheel.file, f"{remote.HOME}/")
            yield self.machine.ssh(node, remote.install(self.wheel.there))
            if self.files or self.copy.is_dir():
                yield self.machine.send(node, str(self.copy), f"{remote.HOME}/")

    def starting(self) -> Iterator[Command]:
        """Start it on every machine."""
        yield from (self.machine.ssh(node, self.line) for node in self.machine.nodes)

    def stopping(self) -> Iterator[Command]:
        """End what is left of it on every machine."""
        yield from (self.machine.ssh(node, remote.stop(self.name)) for node in self.machine.nodes)

    def asking(self) -> Iterator[Command]:
        """Ask every machine how its process is."""
        yield from (self.machine.ssh(node, remote.state(self.name)) for node in self.machine.nodes)

    def looking(self, position: int) -> Command:
        """Ask the first machine, and print its log from a byte on."""
        return self.machine.ssh(self.machine.nodes[0], remote.look(self.name, position), worker="0")

    def fetching(self, folder: Path) -> Command:
        """Copy the results, which the first machine has."""
        return self.machine.fetch(f"{remote.HOME}/{self.name}", str(folder))
