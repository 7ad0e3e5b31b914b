"""Stands in for kubectl: job sets that go through the states of $STAND_IN/script.json. What it was given is in calls.jsonl.

"states": for each `get jobsets` in turn, the status of each job set (the last stays); "pods": what `get pods` prints;
"logs": what each `logs` prints in turn; "fail": a verb -> what it says instead of working; "there": an earlier launch's job sets.
"""

import json
import os
import sys
from pathlib import Path

CLUSTER = Path(os.environ["STAND_IN"])
MEMORY = CLUSTER / "memory.json"
script = {"states": [], "pods": [], "logs": [], "fail": {}, "there": False, **json.loads((CLUSTER / "script.json").read_text())}
memory = {"exists": script["there"], "asked": 0, "logs": 0}
if MEMORY.exists():
    memory = json.loads(MEMORY.read_text())
with open(CLUSTER / "calls.jsonl", "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\n")
assert sys.argv[1] == "--namespace"
verb, rest = sys.argv[3], sys.argv[4:]
if verb in script["fail"]:
    print(f"Error from server: {script['fail'][verb]}", file=sys.stderr)
    sys.exit(1)
if verb == "apply":
    memory["exists"] = True
    print("jobset.jobset.x-k8s.io/xl created")
elif verb == "delete":
    memory["exists"] = False
elif rest[0] == "pods":
    print(json.dumps({"items": script["pods"]}))
elif rest[0] == "jobsets":
    items = []
    if memory["exists"]:
        items = script["states"][min(memory["asked"], len(script["states"]) - 1)]
        memory["asked"] += 1
    print(json.dumps({"items": [{"status": status} for status in items]}))
elif verb == "logs":
    print("".join(script["logs"][memory["logs"] : memory["logs"] + 1]), end="")
    memory["logs"] += 1
MEMORY.write_text(json.dumps(memory))
