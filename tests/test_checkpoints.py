"""Checkpoints: a resume is bit for bit, damage is named, and neither a kill nor a full disk loses what was saved."""

import contextlib
import random
import resource
import shutil
import signal
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from processes import python

from ptune_cli.errors import UserError
from ptune_cli.runs import RunFolder
from ptune_cli.training.optimizer import Adafactor

CONFIG = "Train.steps = 100\n"


def state(seed=0):
    """A bank of two prompts after one step of Adafactor, with the other kinds of leaves that a run may hold."""
    keys = jax.random.split(jax.random.key(seed), 2)
    prompts = {"boolq/0": jax.random.normal(keys[0], (100, 768)), "lr=0.3": jax.random.normal(keys[1], (1, 8))}
    optimizer = Adafactor().build(list(prompts))
    _, slots = optimizer.update(prompts, optimizer.init(prompts), prompts)
    others = {"half": jnp.arange(3, dtype=jnp.bfloat16), "host": np.arange(3.0), "flag": jnp.array([True, False])}
    return {"prompts": prompts, "optimizer": slots, "others": others, "step": 2**40 + seed, "best": 0.1}


def assert_identical(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_a_state_comes_back_bit_for_bit(tmp_path):
    extras = {"best": {"boolq/0": 81.5}, "é": [1, None]}
    with RunFolder.open(tmp_path, CONFIG) as run:
        assert run.restore(state()) is None
        run.save(7, state(seed=1), extras)
    with RunFolder.open(tmp_path, CONFIG) as run:
        step, found, found_extras = run.restore(state(seed=2))
    assert (step, found_extras) == (7, extras)
    assert_identical(found, state(seed=1))


def test_a_resumed_optimizer_goes_on_as_if_never_stopped(tmp_path):
    optimizer = Adafactor().build(["m"])
    update = jax.jit(lambda g, s, p: optimizer.update(g, s, p))
    gradients = jax.random.normal(jax.random.key(1), (6, 4, 8))

    def walk(params, slots, part):
        for gradient in part:
            updates, slots = update({"m": gradient}, slots, params)
            params = optax.apply_updates(params, updates)
        return params, slots

    start = {"m": jnp.ones((4, 8))}
    whole = walk(start, optimizer.init(start), gradients)
    with RunFolder.open(tmp_path, CONFIG) as run:
        run.save(3, walk(start, optimizer.init(start), gradients[:3]), {})
    with RunFolder.open(tmp_path, CONFIG) as run:
        _, (params, slots), _ = run.restore((start, optimizer.init(start)))
    assert_identical(walk(params, slots, gradients[3:]), whole)


def small(value):
    return {"x": jnp.full((2,), float(value))}


def test_the_last_and_the_best_are_kept(tmp_path):
    scores = [50.0, 90.0, None, 90.0, float("nan"), 70.0, 60.0]
    with RunFolder.open(tmp_path, CONFIG, keep_last=2) as run:
        for step, score in enumerate(scores):
            run.save(step, small(step), {"score": step}, metric=score)
        assert run.checkpoints.steps == [1, 5, 6]
    with RunFolder.open(tmp_path, CONFIG, keep_last=2) as run:
        assert run.checkpoints.best_step == 1  # the first of equals
        assert run.restore(small(0))[0] == 6
        step, found, extras = run.restore(small(0), step=run.checkpoints.best_step)
        assert (step, extras) == (1, {"score": 1})
        assert_identical(found, small(1))
        run.save(7, small(7), {}, metric=95.0)
        assert run.checkpoints.steps == [6, 7]


def test_without_scores_only_the_last_are_kept(tmp_path):
    with RunFolder.open(tmp_path, CONFIG, keep_last=1) as run:
        for step in range(3):
            run.save(step, small(step), {})
        assert (run.checkpoints.steps, run.checkpoints.best_step) == ([2], None)


def test_saving_a_step_again_changes_nothing(tmp_path):
    with RunFolder.open(tmp_path, CONFIG) as run:
        run.save(3, small(3), {"a": 1})
        run.save(3, small(3), {"a": 1})
        assert run.checkpoints.steps == [3]


def damaged(data, how):
    middle = len(data) // 2
    return {"cut": data[:middle], "flipped": data[:middle] + bytes([data[middle] ^ 16]) + data[middle + 1 :]}[how]


@pytest.mark.parametrize("how", ["cut", "flipped", "removed"])
def test_every_damaged_file_of_the_newest_checkpoint_is_named(tmp_path, how):
    with RunFolder.open(tmp_path, CONFIG) as run:
        run.save(1, state(1), {})
        run.save(2, state(2), {})
        newest = tmp_path / "checkpoints" / "2"
        files = [path for path in newest.rglob("*") if path.is_file() and path.name != "sha256.json"]
        assert len(files) > 5
        for path in files:
            data = path.read_bytes()
            path.unlink() if how == "removed" else path.write_bytes(damaged(data, how))
            with pytest.raises(UserError) as error:
                run.restore(state())
            words = f"{newest} cannot be read: {path.relative_to(newest)} is"
            assert words in str(error.value)
            assert str(error.value).endswith("delete that folder to fall back to step 1")
            path.write_bytes(data)
        assert_identical(run.restore(state())[1], state(2))
    shutil.rmtree(newest)
    with RunFolder.open(tmp_path, CONFIG) as run:
        assert run.restore(state())[0] == 1


def test_damage_without_hashes_is_still_a_user_error(tmp_path):
    """As after a kill between the checkpoint's rename and its hashes."""
    with RunFolder.open(tmp_path, CONFIG) as run:
        run.save(1, small(1), {})
        (tmp_path / "checkpoints/1/sha256.json").unlink()
        assert_identical(run.restore(small(0))[1], small(1))
        (tmp_path / "checkpoints/1/extras/metadata").write_text("{")
        with pytest.raises(UserError, match="checkpoints/1 cannot be read.*delete that folder to start again"):
            run.restore(small(0))


@pytest.mark.parametrize("template", [{"x": jnp.zeros(3)}, {"y": jnp.zeros(2)}, {"x": jnp.zeros(2), "y": jnp.zeros(2)}])
def test_a_state_of_another_structure_is_refused(tmp_path, template):
    with RunFolder.open(tmp_path, CONFIG) as run:
        run.save(1, small(1), {})
        with pytest.raises(UserError, match="checkpoints/1 cannot be read") as error:
            run.restore(template)
        assert "\n" not in str(error.value)


SAVE_FOREVER = """
    import sys, jax.numpy as jnp
    from ptune_cli.runs import RunFolder
    with RunFolder.open(sys.argv[1], "c") as run:
        template = {"x": jnp.zeros((64, 64)), "slots": [jnp.zeros(64)] * 5}
        found = run.restore(template)
        step = found[0] if found else 0
        print("resumed", step, flush=True)
        while True:
            step += 1
            state = {"x": jnp.full((64, 64), float(step)), "slots": [jnp.full(64, float(step))] * 5}
            run.save(step, state, {"step": step}, metric=float(step % 7))
            run.log({"step": step})
            print("saved", step, flush=True)
"""


def test_a_run_killed_at_any_moment_resumes_from_its_last_save(tmp_path):
    moments, saved = random.Random(0), 0
    template = {"x": jnp.zeros((64, 64)), "slots": [jnp.zeros(64)] * 5}
    for _ in range(5):
        with python(SAVE_FOREVER, tmp_path) as process:
            assert int(process.stdout.readline().split()[1]) >= saved
            for _ in range(moments.randrange(1, 6)):
                saved = int(process.stdout.readline().split()[1])
            # A save takes some 30 ms, so this falls anywhere in it: whatever the moment, the assertions hold.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(moments.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
        with RunFolder.open(tmp_path, "c") as run:
            step, found, extras = run.restore(template)
            assert step >= saved
            assert extras == {"step": step}
            assert all(np.all(leaf == step) for leaf in jax.tree.leaves(found))
        saved = step
    with RunFolder.open(tmp_path, "c") as run:
        run.save(saved + 1, template, {})  # which waits for the removal of what the kills left
        assert {int(path.name) for path in (tmp_path / "checkpoints").iterdir()} == set(run.checkpoints.steps)


@contextlib.contextmanager
def largest_file(size):
    """Let this process write no file past `size` bytes: a disk's "no", for every user and on every file system."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_disk_that_refuses_bytes_is_one_line_and_keeps_what_was_saved(tmp_path, capfd):
    with RunFolder.open(tmp_path, CONFIG) as run:
        run.save(1, state(1), {})
        run.write_bytes("file", b"old")
        with largest_file(100_000), pytest.raises(UserError, match="cannot use .*/checkpoints: File too large") as error:
            run.save(2, state(2), {})
        assert "\n" not in str(error.value)
        with largest_file(100), pytest.raises(UserError, match="cannot use .*/checkpoints: File too large"):
            run.save(3, state(3), {})
        with largest_file(100), pytest.raises(UserError, match="cannot write .*/file: File too large"):
            run.write_bytes("file", b"x" * 1000)
        with largest_file(100), pytest.raises(UserError, match="cannot use .*/metrics.jsonl: File too large"):
            run.log({"step": 1, "text": "x" * 1000})
    assert capfd.readouterr().err == ""
    with RunFolder.open(tmp_path, CONFIG) as run:
        assert (run.path / "file").read_bytes() == b"old"
        assert run.restore(state())[0] == 1
        run.save(2, state(2), {})
        assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"1", "2"}


FILL = """
    import sys, jax.numpy as jnp, numpy as np
    from ptune_cli.errors import UserError
    from ptune_cli.runs import RunFolder
    random = np.random.default_rng(0)
    with RunFolder.open(sys.argv[1], "c", keep_last=100) as run:
        for step in range(100):
            try:
                run.save(step, {"x": random.normal(size=(100, 64))}, {})
                run.log({"step": step, "loss": 1.0})
                run.write_bytes("prompts/a/prompt.npy", bytes(10_000))
            except UserError as error:
                print(step, error)
                break
"""


def test_a_full_disk_is_one_line_and_the_last_save_restores(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()} (the test before this one needs none)")
    try:
        with python(FILL, disk) as process:
            output, errors = process.communicate()
        assert process.returncode == 0, errors
        assert errors == ""
        (line,) = output.splitlines()
        step, _, message = line.partition(" ")
        assert int(step) > 1
        assert message.startswith("cannot ")
        assert "No space left on device" in message
        shutil.copytree(disk, tmp_path / "copy")
    finally:
        subprocess.run(["umount", disk], check=True)
    with RunFolder.open(tmp_path / "copy", "c") as run:
        assert run.restore({"x": np.zeros((100, 64))})[0] >= int(step) - 1
