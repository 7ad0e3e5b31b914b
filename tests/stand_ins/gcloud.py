"""Stands in for gcloud: its TPUs are folders of $STAND_IN, and `ssh` runs on this machine, once for each worker.

$STAND_IN/script.json says how it behaves: "states", a list for each TPU created of what `describe` says in turn (the last stays);
"taken", the number of the TPU created -> the look at its log before which it is taken away; "fail", a verb -> what it says
instead of working, each time in turn (null: it works); "workers" of each node. What it was given is in calls.jsonl.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

CLOUD = Path(os.environ["STAND_IN"])
MEMORY = CLOUD / "memory.json"
lock = open(CLOUD / "lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)  # one at a time: the command on the TPU may call this too
SCRIPT = {"states": [], "taken": {}, "fail": {}, "workers": 2, **json.loads((CLOUD / "script.json").read_text())}
memory = {"created": 0, "exists": False, "asked": 0, "looks": 0, "failures": {}}
if MEMORY.exists():
    memory = json.loads(MEMORY.read_text())


def end(code: int, said: str = "") -> None:
    MEMORY.write_text(json.dumps(memory))
    print(said, file=sys.stderr)
    sys.exit(code)


def state() -> str:
    """Of the newest TPU."""
    number = str(memory["created"])
    if memory["looks"] >= SCRIPT["taken"].get(number, 10**9):
        shutil.rmtree(CLOUD / "hosts", ignore_errors=True)
        return "SUSPENDED"
    states = SCRIPT["states"][memory["created"] - 1] if len(SCRIPT["states"]) >= memory["created"] else ["ACTIVE"]
    return states[min(memory["asked"], len(states)) - 1]


def home(worker: int) -> Path:
    folder = CLOUD / "hosts" / f"{node}-{worker}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def workers() -> range:
    chosen = flags["worker"]
    return range(SCRIPT["workers"]) if chosen == "all" else range(int(chosen), int(chosen) + 1)


def ssh(command: str) -> int:
    path = f"{os.environ['STAND_IN_HOST']}:{os.environ['PATH']}"
    codes = []
    for worker in workers():
        environment = {**os.environ, "HOME": str(home(worker)), "PATH": path, "WORKER": f"{node}-{worker}"}
        codes.append(subprocess.run(["bash", "-c", command], cwd=home(worker), env=environment).returncode)
    return max(codes)


def copy(source: str, target: str) -> None:
    """As scp does: into the target, which is a folder."""
    if ":" in source:
        shutil.copytree(home(0) / source.partition(":")[2], Path(target) / Path(source).name)
        return
    for worker in workers():
        folder = home(worker) / target.partition(":")[2]
        if Path(source).is_dir():
            shutil.copytree(source, folder / Path(source).name, dirs_exist_ok=True)
        else:
            shutil.copy(source, folder)


with open(CLOUD / "calls.jsonl", "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\n")
flags = dict(item[2:].partition("=")[::2] for item in sys.argv[1:] if item.startswith("--"))
words = [item for item in sys.argv[1:] if not item.startswith("--")]
assert words[:2] == ["compute", "tpus"], words
verb, rest = words[3], words[4:]
if words[2] == "tpu-vm":
    node = rest[0] if verb == "ssh" else next(word for word in rest if ":" in word).partition(":")[0]
said = SCRIPT["fail"].get(verb, [])
number = memory["failures"].get(verb, 0)
memory["failures"][verb] = number + 1
if number < len(said) and said[number]:
    end(1, f"ERROR: (gcloud.compute.tpus.{verb}) {said[number]}")
if verb == "create":
    if memory["exists"]:
        end(1, "ERROR: ALREADY_EXISTS")
    memory.update(created=memory["created"] + 1, exists=True, asked=0, looks=0)
elif not memory["exists"]:
    end(1, "ERROR: NOT_FOUND: no such queued resource")
elif verb == "describe":
    memory["asked"] += 1
    print(state())
elif verb == "delete":
    memory["exists"] = False
    shutil.rmtree(CLOUD / "hosts", ignore_errors=True)
else:
    memory["looks"] += "log.txt 2" in flags.get("command", "")
    if state() != "ACTIVE":
        end(255, "ERROR: the connection was refused")
    if verb == "ssh":
        end(ssh(flags["command"]))
    copy(*rest)
end(0)
