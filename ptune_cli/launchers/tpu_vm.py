"""The command lines of `gcloud compute tpus` for one queued resource: nodes, which are slices, each of one or more workers."""

from dataclasses import dataclass

from ptune_cli.launchers.accelerators import Accelerator

Command = tuple[str, ...]


@dataclass(frozen=True)
class TpuVm:
    """A queued resource by name, and where it is."""

    name: str
    zone: str
    project: str | None = None  # none: gcloud's own
    slices: int = 1

    @property
    def nodes(self) -> list[str]:
        """The first one's worker 0 is where the log and the results are."""
        return [self.name] if self.slices == 1 else [f"{self.name}-{i}" for i in range(self.slices)]

    def create(self, accelerator: Accelerator, runtime_version: str, options: Command) -> Command:
        """Ask for it: Google's queue does the waiting."""
        nodes = [f"--node-id={self.name}"]
        if self.slices > 1:
            nodes = [f"--node-count={self.slices}", f"--node-prefix={self.name}"]
        what = [f"--accelerator-type={accelerator.name}", f"--runtime-version={runtime_version}"]
        return self._queue("create", self.name, *nodes, *what, *options)

    def state(self) -> Command:
        """Prints one word: ACTIVE, WAITING_FOR_RESOURCES, ..."""
        return self._queue("describe", self.name, "--format=value(state.state)")

    def delete(self) -> Command:
        """Give it back, with its disks; waits until it is gone."""
        return self._queue("delete", self.name, "--force")

    def ssh(self, node: str, command: str, worker: str = "all") -> Command:
        """Run a shell line on one worker, or on all of the node."""
        return self._vm("ssh", node, f"--worker={worker}", f"--command={command}")

    def send(self, node: str, path: str, folder: str) -> Command:
        """Copy a file or folder into a folder of every worker's home."""
        return self._vm("scp", "--recurse", path, f"{node}:{folder}", "--worker=all")

    def fetch(self, path: str, folder: str) -> Command:
        """Copy a file or folder of the first worker's home into a folder here."""
        return self._vm("scp", "--recurse", f"{self.nodes[0]}:{path}", folder, "--worker=0")

    def _queue(self, *arguments: str) -> Command:
        return ("gcloud", "compute", "tpus", "queued-resources", *arguments, *self._where())

    def _vm(self, *arguments: str) -> Command:
        return ("gcloud", "compute", "tpus", "tpu-vm", *arguments, *self._where())

    def _where(self) -> Command:
        project = (f"--project={self.project}",) if self.project else ()
        return (f"--zone={self.zone}", *project, "--quiet")  # quiet: asks nothing
