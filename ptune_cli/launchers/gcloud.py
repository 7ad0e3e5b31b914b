"""Google's Cloud TPU API, by `gcloud compute tpus`: ask for a TPU, install ptune, run, fetch the results, give the TPU back.

Google develops this API no further (bug fixes only) and does not offer tpu7x or newer in it, where JobSet is the way; it is here
because it needs no cluster. Its own queue does the waiting. A machine's disk goes away with it: of a run whose TPU is taken away,
what was last fetched is kept, which is done every `fetch_minutes` and, if there is time, when it stops. Results in gs:// are not
supported; to lose nothing, mount a disk that all machines share in `setup`.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from ptune_cli import __version__
from ptune_cli.errors import UserError, nearest_path
from ptune_cli.launchers import remote
from ptune_cli.launchers.accelerators import lookup
from ptune_cli.launchers.job import Job, Plan
from ptune_cli.launchers.shipping import gin_files
from ptune_cli.launchers.tpu_job import TpuJob, Wheel
from ptune_cli.launchers.tpu_lease import Lease
from ptune_cli.launchers.tpu_run import TpuRun
from ptune_cli.launchers.tpu_vm import Command, TpuVm

PORT = 8476  # of the coordinator between slices: v6e's firewall closes JAX's own choice, 8482 (JAX's issue 35905)


@dataclass(frozen=True, kw_only=True)
class Gcloud:
    """A TPU of Google's Cloud TPU API, created for the command and deleted after it; no cluster is needed.

    The results come into the launch's folder. A preempted run goes on on a new TPU from what was fetched of it. Interrupting (^C)
    leaves the TPU running, and the same command follows it again.
    """

    accelerator: str  # v5litepod-16, v6e-8, v5p-32, ...: one slice
    slices: int = 1  # that run it together
    zone: str  # europe-west4-b, ...
    project: str | None = None  # none: gcloud's own
    # What is installed: a wheel of ptune on this machine, FILE.whl or FILE.whl[EXTRA], or what pip understands, as git+https://...
    wheel: str = f"dist/ptune-{__version__}-py3-none-any.whl[tasks]"
    runtime_version: str | None = None  # of the machine's software; none: the accelerator's own
    spot: bool = False  # cheaper, and may be taken away
    reserved: bool = False  # of the project's reservation
    service_account: str | None = None  # that reads gs:// there; none: the project's
    setup: tuple[str, ...] = ()  # lines of shell on every machine before the command, such as one that mounts a disk
    max_restarts: int = 10  # after preemptions and lost processes
    fetch_minutes: float = 30.0  # between two copies of the run's folder while it runs
    keep: bool = False  # do not delete the TPU at the end
    poll: float = 30.0  # seconds between two looks

    def __post_init__(self):
        accelerator = lookup(self.accelerator)
        if not accelerator.runtime_version:
            raise UserError(f"the Cloud TPU API does not serve {self.accelerator}", "use a cluster: --launcher jobset")
        if self.slices < 1:
            raise UserError(f"slices is {self.slices}, expected at least 1")
        if self.spot and self.reserved:
            raise UserError("a TPU is spot or reserved, not both", "leave one out")

    @property
    def processes(self) -> int:
        """That run the command together: one for each machine."""
        return lookup(self.accelerator).cloud_tpu_hosts * self.slices

    def plan(self, job: Job) -> Plan:
        """The command lines of a run that nothing interrupts."""
        run = self._run(job)
        work, machine = run.job, run.job.machine
        asking = (run.lease.create, machine.state(), *work.preparing(), *work.starting())
        return Plan(work.files, (*asking, work.looking(0), work.fetching(job.folder), machine.delete()))

    def run(self, job: Job) -> int:
        """See it through. Returns the command's exit code, or 75 if it was preempted more than `max_restarts` times."""
        run = self._run(job)
        try:
            return run.to_the_end()
        except KeyboardInterrupt:
            print(f"ptune: {job.name} goes on, and costs. To give it back: {' '.join(run.job.machine.delete())}", file=sys.stderr)
            raise

    def _run(self, job: Job) -> TpuRun:
        if job.shares > 1:
            raise UserError(f"{job.shares} shares need as many TPUs", "use --launcher jobset or slurm, or launch each share")
        wheel = Wheel(self.wheel)
        if wheel.file and not Path(wheel.file).is_file():
            make = "pip wheel --no-deps --wheel-dir dist PTUNE'S SOURCES makes one"
            raise UserError(f"no wheel {wheel.file}", f"{nearest_path(wheel.file)}; {make}")
        _check_output(job.command)
        machine = TpuVm(job.name, self.zone, self.project, self.slices)
        environment = [f"JAX_COORDINATOR_PORT={PORT}"] if self.slices > 1 else []
        work = TpuJob(
            machine=machine,
            files={job.folder / job.name / name: text for name, text in gin_files(job.command).items()},
            folder=job.folder,
            wheel=wheel,
            line=remote.start(job.name, job.command, self.setup, environment),
        )
        lease = Lease(machine=machine, create=self._create(machine), poll=self.poll)
        seconds = self.fetch_minutes * 60
        return TpuRun(lease=lease, job=work, max_restarts=self.max_restarts, fetch_seconds=seconds, keep=self.keep)

    def _create(self, machine: TpuVm) -> Command:
        accelerator = lookup(self.accelerator)
        return machine.create(accelerator, self.runtime_version or accelerator.runtime_version, self._options())

    def _options(self) -> tuple[str, ...]:
        account = [f"--service-account={self.service_account}"] if self.service_account else []
        return (*(["--spot"] if self.spot else []), *(["--reserved"] if self.reserved else []), *account)


def _check_output(command: tuple[str, ...]) -> None:
    """UserError for an --output that is not in the run's folder, which alone is fetched."""
    for i, argument in enumerate(command):
        flag, equals, value = argument.partition("=")
        value = value if equals else "".join(command[i + 1 : i + 2])
        if flag == "--output" and (value.startswith(("/", "~", "gs://")) or ".." in Path(value).parts):
            raise UserError(
                f"--output {value} would not be fetched from the TPU", "give a path in the run's folder, as runs/demo"
            )
