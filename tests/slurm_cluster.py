"""A SLURM of this machine alone: its own munged, slurmctld, and a slurmd for each of two virtual nodes, on the loopback.

Everything is below one folder, and ends by the process ids that are written there. Needs root, and Debian's packages.
"""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import time
from pathlib import Path

from processes import free_port, wait_for

INSTALL = "SLURM is not installed: apt-get install slurm-wlm munge"
NODES = ("n1", "n2")
CONFIGURATION = """
ClusterName=ptune_test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=1
ReturnToService=2
KillWait=5
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE OverSubscribe=FORCE:4 State=UP
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 CoresPerSocket=2 RealMemory=2000 State=UNKNOWN"


class Cluster:
    """A running SLURM. Its clients find it by `environment`."""

    def __init__(self, folder: Path):
        self._folder = folder
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}

    def start(self) -> None:
        """Returns when both nodes are idle."""
        self._configure()
        folder = self._folder
        munge = {"socket": "munge.socket", "key-file": "munge.key", "pid-file": "munge.pid", "log-file": "munge.log"}
        files = [f"--{name}={folder / file}" for name, file in (munge | {"seed-file": "munge.seed"}).items()]
        self._run("munged", "--force", *files)
        self._run("slurmctld", "-f", folder / "slurm.conf")
        for name in NODES:
            self._run("slurmd", "-N", name, "-f", folder / "slurm.conf")
        wait_for(lambda: self._run("sinfo", "--noheader", "--format=%T").split() == ["idle"], 30)

    def stop(self) -> None:
        """Cancel every job, wait for the end of its processes, and end the daemons."""
        try:
            self._run("scancel", "--user=root", check=False)
            wait_for(lambda: not self._run("squeue", "--noheader", check=False), 60)
        finally:
            for file in (*self._folder.glob("slurm*.pid"), self._folder / "munge.pid"):
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    os.kill(int(file.read_text()), signal.SIGTERM)

    def job(self, number: str) -> dict[str, str]:
        """What SLURM says of a job: JobState, ExitCode, Restarts, ..."""
        words = self._run("scontrol", "show", "job", "--oneliner", number).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def signal(self, number: str, name: str) -> None:
        """Send a signal to the processes of a job, as SLURM does before its time is over."""
        self._run("scancel", f"--signal={name}", number)

    def finish(self, number: str, seconds: float = 180) -> dict[str, str]:
        """The job's state when it has ended for good; a requeued job does not wait for its two minutes."""

        def ended() -> bool:
            if (job := self.job(number))["JobState"] == "PENDING" and job["Reason"] == "BeginTime":
                time.sleep(2)  # within the second in which it was stopped its node does not take it ("credential revoked")
                self._run("scontrol", "update", f"JobId={number}", "StartTime=now", check=False)
            return job["JobState"] in ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")

        wait_for(ended, seconds)
        return self.job(number)

    def _configure(self) -> None:
        folder, host = self._folder, socket.gethostname().partition(".")[0]
        controller, *ports = [free_port() for _ in range(1 + len(NODES))]
        for name in ("state", *(f"spool.{name}" for name in NODES)):
            (folder / name).mkdir(mode=0o700)
        key = folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(1024))
        nodes = "\n".join(NODE.format(name=name, host=host, port=port) for name, port in zip(NODES, ports, strict=True))
        text = CONFIGURATION.format(folder=folder, host=host, controller=controller, nodes=nodes)
        (folder / "slurm.conf").write_text(text)

    def _run(self, *command: object, check: bool = True) -> str:
        words = [str(word) for word in command]
        return subprocess.run(words, env=self.environment, check=check, stdout=subprocess.PIPE, text=True).stdout
