"""The benchmarks run; preparation takes no more memory for ten times the rows, and a bank compiles less than runs apart.

The step that ptune's own is compared with computes the same.
"""

import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import model_folder
import numpy as np
import pytest
import tiny

from benchmarks import plain_t5, rows
from benchmarks.required_operations import required_operations
from ptune_cli.prompts.bank import table, vectors
from ptune_cli.t5.layers import relative_bucket
from ptune_cli.t5.model import T5
from ptune_cli.training.loss import prompt_loss, shift_right

ROOT = Path(__file__).parents[1]
# MB. A writer that kept every example would take 35 more for the 18,000 rows between the two (measured); runs differ by 5.
BOUND = 15


def lines(*arguments: object) -> list[list[str]]:
    """What a benchmark prints below its heading, in words."""
    done = subprocess.run([sys.executable, "-m", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines()[1:]]


def test_memory_does_not_grow_with_the_task():
    """Whole processes: a seqio task through TensorFlow, and a file of the user's own."""
    pytest.importorskip("seqio")
    found = lines("benchmarks.preparation", "--rows", "20000")
    assert [line[0] for line in found] == ["seqio", "file:", "text"]
    for kind, *_, many, few in found[:2]:  # a text takes what a shard of it takes: tests/test_text.py
        assert int(many) - int(few) < BOUND, kind


def test_a_bank_is_told_beside_as_many_runs_and_compiles_less(tmp_path):
    model = model_folder.write(tmp_path / "model")
    words = {"dog": "wolf", "plant": "tree"}
    for split, count in (("train", 16), ("validation", 4), ("test", 4)):
        rows = [{"inputs": f"{words[label]} {i}", "targets": label} for i in range(count // 2) for label in words]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ("--prompts", 2, "--steps", 2, "--task", f"file:{tmp_path}", "--model", model)
    together, apart, ratio = lines("benchmarks.bank", *options)
    assert (together[0], apart[:2], ratio[0]) == ("together", ["2", "runs"], "ratio")
    numbers = [[float(number) for number in line[-3:]] for line in (together, apart, ratio)]
    assert all(number > 0 for number in numbers[0] + numbers[1])
    assert numbers[2] == [pytest.approx(a / b, abs=0.02) for a, b in zip(*numbers[:2], strict=True)]
    assert int(together[2]) < int(apart[3])


def test_the_plain_network_has_our_logits_and_our_gradient_of_the_prompt():
    own, params = tiny.bank(), tiny.weights()
    [batch], prompts, model = tiny.batches(own)(0), tiny.first_prompts(own), T5(tiny.CONFIG)
    [name], [prompt] = prompts, prompts.values()
    inputs = batch.encoder_ids[:, len(prompt) :]

    x = vectors(lambda ids: model.apply({"params": params}, ids, method="embed"), table(prompts, [name]), batch.encoder_ids)
    memory = model.apply({"params": params}, x, batch.encoder_segments, method="encode")
    before = params["token_embedder"]["embedding"][shift_right(batch.targets, batch.target_segments)]
    ours = model.apply({"params": params}, before, memory, batch.target_segments, batch.encoder_segments, method="decode")
    real = batch.targets > 0
    np.testing.assert_allclose(plain_t5.logits(prompt, params, inputs, batch.targets)[real], ours[real], rtol=1e-4, atol=1e-4)

    gradient = jax.grad(lambda prompts: prompt_loss(model, [name], 0.0)(prompts, params, batch).loss.sum())(prompts)[name]
    found = jax.grad(plain_t5.loss)(prompt, params, inputs, batch.targets)
    np.testing.assert_allclose(found, gradient, rtol=1e-4, atol=1e-4)
    assert float(jnp.abs(gradient).max()) > 0.01


@pytest.mark.parametrize("bidirectional", [True, False])
def test_the_plain_network_has_our_buckets_of_distances(bidirectional):
    distances = np.arange(-700, 700)
    found = plain_t5.buckets(distances, 32, bidirectional)
    np.testing.assert_array_equal(found, relative_bucket(distances, bidirectional, 32, plain_t5.BUCKETS_REACH))


def test_operations_are_those_that_xla_counts_in_the_plain_step_less_the_gradient_of_what_is_frozen():
    """Sizes at which products are nearly all of it."""
    c = tiny.config(emb_dim=256, num_heads=4, head_dim=64, mlp_dim=1024)
    params, prompt = tiny.weights(c), jnp.ones((20, 256))
    inputs, targets = np.ones((2, 44), np.int32), np.ones((2, 4), np.int32)
    analysis = jax.jit(jax.grad(plain_t5.loss)).lower(prompt, params, inputs, targets).compile().cost_analysis()
    needed = required_operations(c, np.full(2, 64), np.full(2, 4))
    assert analysis is not None and needed == pytest.approx(analysis["flops"], rel=0.05)


def test_rows_are_as_long_as_the_task_and_end_in_eos(tmp_path):
    rows.write(tmp_path / "rows.npz", ["rte", "multirc"], members=2, count=400, vocabulary=64, prompt=(3, 16))
    read = rows.Rows(tmp_path / "rows.npz", batch=8)
    assert (read.tasks, read.prompt.shape) == (["rte", "multirc"], (3, 16))
    for member in range(2):
        inputs, targets = read.of("rte", member)
        assert rows.lengths(inputs).mean() == pytest.approx(rows.TASKS["rte"], rel=0.1)
        assert (inputs[np.arange(400), rows.lengths(inputs) - 1] == rows.EOS).all()
        assert set(rows.lengths(targets)) == {2, 3, 4}
    assert rows.lengths(read.of("multirc")[0]).max() == rows.LONGEST
    inputs, _ = read.batch("rte", 1, to_longest=True)
    np.testing.assert_array_equal(inputs[:, :20], read.of("rte")[0][8:16, :20])
    assert inputs.shape == (8, rows.lengths(inputs).max())


def test_a_prompt_step_is_told_beside_the_plain_one_and_peft_is_skipped_without_its_environment(tmp_path):
    """Whole processes: ptune with one prompt and with two, plain JAX padded in two ways. They check that their losses agree."""
    options = ["--size", "nano", "--batch", "4", "--tasks", "copa,rte", "--members", "2", "--prompt", "10", "--rounds", "1"]
    command = [sys.executable, "-m", "benchmarks.prompt_step", *options, "--append", str(tmp_path / "results.jsonl")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "PEFT is skipped" in done.stderr and "--peft build/peft/bin/python" in done.stderr
    found = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    systems = ["ptune", "ptune, 2 prompts", "plain JAX to 512", "plain JAX to longest"]
    assert [(line["task"], line["system"]) for line in found] == [(t, s) for t in ("copa", "rte", "mix") for s in systems]
    assert all(sum(system in line for line in done.stdout.splitlines()) == 4 for system in systems if system != "ptune")
    by_name = {(line["task"], line["system"]): line for line in found}
    for (task, system), line in by_name.items():
        plain = by_name[task, "plain JAX to 512"]
        assert line["examples_per_second"] == pytest.approx(4 * line["members"] / line["seconds"])
        assert line["ratio"] == pytest.approx(plain["examples_per_second"] / line["examples_per_second"])
        apart = [by_name[t, system]["seconds"] for t in ("copa", "rte")]
        assert task != "mix" or line["seconds"] == pytest.approx(sum(apart) / 2)
        assert min(line[key] for key in ("share", "peak_mb", "compiled", "compile_seconds")) > 0
        assert line["first_step_seconds"] > line["seconds"]
        assert line["cpu"] and line["versions"]["jax"] == jax.__version__


def test_what_a_microbatch_takes_is_told_for_each_shape():
    found = lines("benchmarks.shapes", "--size", "small", "--shapes", "1x24,2x32", "--rounds", "1")
    assert [line[:3] for line in found] == [["1", "24", "24"], ["2", "32", "64"]]
    assert all(float(number) > 0 for line in found for number in line[3:])


def test_a_plan_is_told_beside_its_run():
    found = lines("benchmarks.plan", "--size", "nano", "--steps", "8", "--rounds", "1")
    assert [line[-4] for line in found] == ["step", "evaluation", "most", "account"]
    for *_, planned, measured, ratio in found:
        assert float(planned) > 0 and float(ratio) == pytest.approx(float(planned) / float(measured), abs=0.02)
