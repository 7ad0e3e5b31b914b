"""How a model came about, from the folders of its runs: what training.json beside a model says.

    {"phases": [...], "text": [...]}

A phase is a run of `ptune pretrain`, the first of them from new weights; `text` lists the sources that all of them read.
"""

import ast
import json
import pathlib


def training(run: pathlib.Path, sources: list[dict]) -> dict:
    """The facts of the model that `run` ended with. `sources` is sources.json, as `corpora.clean` writes it."""
    text = [{key: source[key] for key in ("name", "licence")} | source["train"] for source in sources]
    return {"phases": _phases(run), "text": text}


def metrics(run: pathlib.Path) -> list[dict]:
    """The rows of a run's metrics.jsonl."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def _phases(run: pathlib.Path) -> list[dict]:
    setting = _settings(run)
    initial = setting["pretrain.Pretrain.initial"]
    before = [] if initial is None else _phases(pathlib.Path(initial).parent)
    return [*before, _phase(run, setting)]


def _phase(run: pathlib.Path, setting: dict) -> dict:
    steps, batch = setting["pretrain.Pretrain.steps"], setting["pretrain.Pretrain.batch_size"]
    initial = setting["pretrain.Pretrain.initial"]
    return {
        "run": run.name,
        "objective": setting["pretrain.Pretrain.objective"].strip("@()").rpartition(".")[2],
        "initial": initial and pathlib.Path(initial).parent.name,
        "steps": steps,
        "examples": steps * batch,
        "tokens": round(_tokens_per_example(run) * steps * batch),
        "seed": setting["pretrain.Pretrain.seed"],
        "held_out_examples": setting["pretrain.Pretrain.validation_batches"] * batch,
        "held_out": [{"step": r["step"], "loss": r["validation/loss"]} for r in metrics(run) if "validation/loss" in r],
        "command": _command(run),
    }


def _tokens_per_example(run: pathlib.Path) -> float:
    """Encoder and decoder positions that are not padding, the mean over what was logged."""
    logged = [row for row in metrics(run) if row.get("examples_per_second")]
    return sum(row["tokens_per_second"] / row["examples_per_second"] for row in logged) / len(logged)


def _settings(run: pathlib.Path) -> dict:
    """{name: value} of the run's resolved config.gin. References (`@optimizer.Adafactor()`) stay text."""
    pairs = [line.split(" = ", 1) for line in (run / "config.gin").read_text().splitlines() if " = " in line and line[0] != "#"]
    return {name: value if value[0] == "@" else ast.literal_eval(value) for name, value in pairs}


def _command(run: pathlib.Path) -> str:
    """The command line that started the run, without where ptune is installed."""
    arguments = json.loads((run / "run.json").read_text())["starts"][0]["command"][1:]
    return " ".join(["ptune", *arguments])
