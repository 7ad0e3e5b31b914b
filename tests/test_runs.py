"""The run folder: one owner, one config, nothing half written."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from processes import python

from ptune_cli.errors import UserError
from ptune_cli.runs import RunFolder

CONFIG = "Train.steps = 100\nTrain.seed = 0\n"


def rows(run):
    return [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]


def test_a_new_folder_holds_its_config_and_versions(tmp_path):
    with RunFolder.open(tmp_path / "a" / "run", CONFIG) as run:
        assert (run.path / "config.gin").read_text() == CONFIG
        (start,) = json.loads((run.path / "run.json").read_text())["starts"]
    assert {"time", "command", "ptune", "jax", "jaxlib", "optax", "python", "platform"} == set(start)
    assert start["jax"] == jax.__version__


def test_the_same_config_reopens_the_folder(tmp_path):
    for count in (1, 2, 3):
        with RunFolder.open(tmp_path, CONFIG) as run:
            assert len(json.loads((run.path / "run.json").read_text())["starts"]) == count


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (CONFIG.replace("100", "200"), "line 1 of its config.gin is 'Train.steps = 100', of this run's 'Train.steps = 200'"),
        (CONFIG + "Train.batch = 8\n", "line 3 of its config.gin is missing, of this run's 'Train.batch = 8'"),
        ("Train.steps = 100\n", "line 2 of its config.gin is 'Train.seed = 0', of this run's missing"),
    ],
)
def test_a_folder_of_another_config_is_refused(tmp_path, other, words):
    RunFolder.open(tmp_path, CONFIG).close()
    with pytest.raises(UserError, match=words):
        RunFolder.open(tmp_path, other)
    assert (tmp_path / "config.gin").read_text() == CONFIG
    RunFolder.open(tmp_path, CONFIG).close()  # the refused process has let go of the lock


HOLD = """
    import sys, time
    from ptune_cli.runs import RunFolder
    run = RunFolder.open(sys.argv[1], "c")
    print("open", flush=True)
    time.sleep(600)
"""


def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path):
    with python(HOLD, tmp_path) as first:
        assert first.stdout.readline() == "open\n"
        with pytest.raises(UserError, match=f"the run folder {tmp_path} is in use by another process") as error:
            RunFolder.open(tmp_path, "c")
        assert "\n" not in str(error.value)
        first.kill()
    RunFolder.open(tmp_path, "c").close()


def test_the_run_folder_alone_imports_no_jax():
    with python(
        "import sys, ptune_cli.runs; print(sorted({'jax', 'orbax', 'tensorboardX', 'tensorflow'} & set(sys.modules)))"
    ) as p:
        assert p.communicate() == ("[]\n", "")


def test_files_are_written_whole_and_leave_no_trace(tmp_path):
    with RunFolder.open(tmp_path, CONFIG) as run:
        run.write_json("predictions/boolq.json", {"é": [1, 2]})
        run.write_bytes("prompts/boolq/prompt.npy", b"12")
        run.write_bytes("prompts/boolq/prompt.npy", b"345")
    assert json.loads((tmp_path / "predictions/boolq.json").read_text()) == {"é": [1, 2]}
    assert [(p.name, p.read_bytes()) for p in (tmp_path / "prompts/boolq").iterdir()] == [("prompt.npy", b"345")]


def test_rows_are_json_lines_and_tensorboard_scalars(tmp_path):
    with RunFolder.open(tmp_path, CONFIG) as run:
        run.log({"step": 1, "loss/a": np.float32(0.5), "loss/b": jnp.float32(2), "task": "boolq"})
        assert rows(run) == [{"step": 1, "loss/a": 0.5, "loss/b": 2.0, "task": "boolq"}]  # on the disk already
        run.log({"step": 2, "loss/a": float("nan"), "nested": {"best": np.float64("-inf")}})
        assert rows(run)[1] == {"step": 2, "loss/a": None, "nested": {"best": None}}
    assert scalars(tmp_path) == [(1, "loss/a", 0.5), (1, "loss/b", 2.0)]


def scalars(folder):
    """Every scalar of the event files, in the order written."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted((folder / "tensorboard").iterdir()):
        data = path.read_bytes()
        while data:  # length (8 bytes), its checksum (4), an event, its checksum (4)
            size = int.from_bytes(data[:8], "little")
            event = Event.FromString(data[12 : 12 + size])
            found += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
            data = data[16 + size :]
    return found


def test_logging_imports_no_tensorflow(tmp_path):
    code = """
        import sys
        from ptune_cli.runs import RunFolder
        with RunFolder.open(sys.argv[1], "c") as run:
            run.log({"step": 1, "loss": 1.0})
        print(sorted({"jax", "tensorflow", "torch"} & set(sys.modules)))
    """
    with python(code, tmp_path) as process:
        assert process.communicate() == ("[]\n", "")


def test_rows_past_the_resumed_step_are_dropped(tmp_path):
    with RunFolder.open(tmp_path, CONFIG) as run:
        for step in range(5):
            run.log({"step": step, "loss": float(step)})
    with RunFolder.open(tmp_path, CONFIG) as run:
        run.truncate_after(2)
        run.log({"step": 3, "loss": 30.0})
        assert rows(run) == [*({"step": s, "loss": float(s)} for s in range(3)), {"step": 3, "loss": 30.0}]
        run.truncate_after(-1)
        assert rows(run) == []


def test_a_row_cut_by_a_kill_is_dropped(tmp_path):
    with RunFolder.open(tmp_path, CONFIG) as run:
        run.log({"step": 1})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "lo')
    with RunFolder.open(tmp_path, CONFIG) as run:
        run.log({"step": 2})
        assert rows(run) == [{"step": 1}, {"step": 2}]


def test_a_metrics_line_that_is_not_json_is_named(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("oops\n")
    with pytest.raises(UserError, match="metrics.jsonl has a line that is not JSON: b'oops"):
        RunFolder.open(tmp_path, CONFIG)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=f"cannot use {tmp_path}/file/run: Not a directory"):
        RunFolder.open(tmp_path / "file" / "run", CONFIG)
    with pytest.raises(UserError, match=f"cannot use {tmp_path}/file: File exists"):
        RunFolder.open(tmp_path / "file", CONFIG)
