"""Processes that a launcher started find each other by what it left in their environment, and nothing else is taken for one."""

import pytest
from processes import free_port, python

from ptune_cli.errors import UserError
from ptune_cli.processes import Processes, own_gpus, started_together

# One of two machines of a TPU: JAX is told that it is on a TPU's machine, which it sees by the chips, and each machine has a
# server of metadata (Cloud TPU API) or a few variables (GKE). argv: kind, number, coordinator's port, the server's port.
MACHINE = """
    import os, sys, threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    kind, number, port, metadata = sys.argv[1:]
    del os.environ["http_proxy"]  # which lets no test out; the server is here
    os.environ |= {"JAX_COORDINATOR_PORT": port, "JAX_COORDINATOR_BIND_ADDRESS": f"127.0.0.1:{port}"}
    KNOWN = {"agent-worker-number": number, "worker-network-endpoints": "a:b:127.0.0.1,a:b:127.0.0.1"}

    class Metadata(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            found = KNOWN.get(self.path.rsplit("/", 1)[-1])
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(found or "")))
            self.end_headers()
            self.wfile.write((found or "").encode())

    if kind == "gke":
        os.environ |= {"TPU_WORKER_ID": number, "TPU_WORKER_HOSTNAMES": "127.0.0.1,127.0.0.1", "TPU_SKIP_MDS_QUERY": "1"}
        os.environ |= {"MEGASCALE_NUM_SLICES": "1", "MEGASCALE_SLICE_ID": "0", "MEGASCALE_COORDINATOR_ADDRESS": "127.0.0.1"}
    else:
        server = ThreadingHTTPServer(("127.0.0.1", int(metadata)), Metadata)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        os.environ["GCE_METADATA_IP"] = f"127.0.0.1:{metadata}"

    import jax
    from jax._src.clusters import cloud_tpu_cluster, cluster
    from ptune_cli import agreement, processes

    cloud_tpu_cluster.running_in_cloud_tpu_vm = cluster.running_in_cloud_tpu_vm = True
    if kind == "cloud":
        os.environ.pop("TPU_SKIP_MDS_QUERY", None)  # set by JAX where it finds no chip
    processes.find_spec = lambda name: name == "libtpu"
    with processes.Processes().together():
        first = agreement.from_first(number)
        print(jax.process_index(), jax.process_count(), first, file=sys.__stderr__)
"""


@pytest.mark.parametrize("kind", ["gke", "cloud"])
def test_the_machines_of_a_tpu_find_each_other(kind):
    port, *servers = [free_port() for _ in range(3)]
    machines = [python(MACHINE, kind, i, port, servers[i]) for i in range(2)]
    said = [machine.communicate(timeout=90)[1] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], said
    assert all(f"{i} 2 0" in text.splitlines() for i, text in enumerate(said))


@pytest.mark.parametrize(
    ("environment", "together"),
    [
        ({}, False),
        ({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4"}, False),  # of a batch script, before srun
        ({"SLURM_STEP_NUM_TASKS": "1"}, False),
        ({"SLURM_STEP_NUM_TASKS": "2"}, True),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, True),
        ({"TPU_WORKER_HOSTNAMES": "localhost"}, False),
        ({"TPU_WORKER_HOSTNAMES": "a,b"}, True),
        ({"TPU_WORKER_HOSTNAMES": "a", "MEGASCALE_NUM_SLICES": "2"}, True),
    ],
)
def test_what_a_launcher_leaves_in_the_environment(environment, together):
    assert started_together(environment) is together


@pytest.mark.parametrize(
    ("environment", "gpus"),
    [
        ({"CUDA_VISIBLE_DEVICES": "0,1"}, None),  # no SLURM
        ({"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_TASKS_PER_NODE": "1(x2)"}, None),  # no GPU
        ({"SLURM_STEP_TASKS_PER_NODE": "1(x2)", "CUDA_VISIBLE_DEVICES": "0,1,2,3"}, [0, 1, 2, 3]),  # alone on its node
        ({"SLURM_STEP_TASKS_PER_NODE": "2(x2)", "CUDA_VISIBLE_DEVICES": "0,1,2,3", "SLURM_LOCALID": "1"}, [2, 3]),
        ({"SLURM_STEP_TASKS_PER_NODE": "4", "CUDA_VISIBLE_DEVICES": "2", "SLURM_GPUS_PER_TASK": "1", "SLURM_LOCALID": "3"}, [0]),
    ],
)
def test_a_task_of_slurm_has_all_the_gpus_that_are_its_own(environment, gpus):
    assert (
        own_gpus({"SLURM_STEP_NUM_TASKS": "4"} | environment if "SLURM_STEP_TASKS_PER_NODE" in environment else environment)
        == gpus
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"count": 2}, "coordinator, count and index of processes go together"),
        ({"coordinator": "a:1", "count": 2, "index": 2}, "processes.index is 2, expected 0 to 1"),
    ],
)
def test_what_does_not_go_together_is_refused(given, said):
    with pytest.raises(UserError, match=said):
        Processes(**given)
