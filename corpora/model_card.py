"""Ships a pre-trained model: its folder into ptune_cli/assets, with a card and a picture of its losses.

python -m corpora.model_card tiny corpora/build/tiny_span corpora/build/tiny_lm
"""

import json
import pathlib
import shutil
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from ptune_cli.formats import huggingface
from ptune_cli.t5.config import parameter_count

CARD = """# {name}

A T5 1.1 of {body:,} parameters besides embeddings, made for demos, tests and teaching: small enough to ship, real enough to
be prompt-tuned. {encoder} encoder and {decoder} decoder layers, d_model {d}, {heads} heads of {head}, MLP {mlp}, {total:,}
parameters in all, stored in bfloat16. Made as the paper's models were: span corruption first, then LM adaptation.

Not for use as a language model: it has read {megabytes:.0f} MB of mostly old text (`corpora/README.md`) about once, and repeats
what that text says about peoples, women and faiths.

## Training

| phase | objective | steps | examples | tokens seen | held-out loss at the start | at the end | perplexity |
|---|---|---|---|---|---|---|---|
{phases}

Loss is per target token of text that was not trained on, under the phase's own objective, so phases do not compare with each
other. Tokens are encoder and decoder positions that are not padding. Both phases ran in float32 on 2 CPU cores, seeds 0 and 1.

![losses](loss.png)

The commands (`make tiny-model` runs them all):

```
{commands}
```

## Text

| source | licence of the text | documents | words | MB |
|---|---|---|---|---|
{sources}

Packages, versions and checksums: `corpora/packages.py`. The vocabulary (`spiece.model`, 6,000 pieces and 100 sentinels) is
trained on the same text. Weights and vocabulary are under the repository's licence, Apache-2.0; WordNet's text asks that its
notice be kept, which `tasks/data/gloss_topic/LICENSE` does.

## Loading

`ptune train --model.checkpoint {name}`; or in transformers, `T5ForConditionalGeneration.from_pretrained(folder)`.
"""


def main(name: str, *runs: str) -> None:
    """Copy the last run's model, and tell of all its runs."""
    target = pathlib.Path("ptune_cli/assets") / name
    target.mkdir(parents=True, exist_ok=True)
    for file in (pathlib.Path(runs[-1]) / "model").iterdir():
        shutil.copyfile(file, target / file.name)
    folders = [pathlib.Path(run) for run in runs]
    draw(folders, target / "loss.png")
    (target / "README.md").write_text(card(name, folders), encoding="utf-8")
    print(f"{name}: {sum(f.stat().st_size for f in target.iterdir()) / 1e6:.1f} MB in {target}")


def card(name: str, runs: list[pathlib.Path]) -> str:
    config = huggingface.read_config(runs[-1] / "model" / "config.json")
    total = parameter_count(config)
    sources = json.loads(pathlib.Path("corpora/build/text/sources.json").read_text())
    return CARD.format(
        name=name,
        body=total - 2 * config.vocab_size * config.emb_dim,
        total=total,
        encoder=config.num_encoder_layers,
        decoder=config.num_decoder_layers,
        d=config.emb_dim,
        heads=config.num_heads,
        head=config.head_dim,
        mlp=config.mlp_dim,
        megabytes=sum(source["train"]["bytes"] for source in sources) / 1e6,
        phases="\n".join(_phase(run) for run in runs),
        commands="\n".join(_commands(runs)),
        sources="\n".join(_source(source) for source in sources),
    )


def rows(run: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def draw(runs: list[pathlib.Path], file: pathlib.Path) -> None:
    """Training and held-out loss by step, a panel for each phase."""
    figure, axes = plt.subplots(1, len(runs), figsize=(5 * len(runs), 3.5), layout="constrained", squeeze=False)
    for axis, run in zip(axes[0], runs, strict=True):
        for key, label in (("train/loss/model", "training"), ("validation/loss", "held out")):
            points = [(row["step"], row[key]) for row in rows(run) if key in row]
            axis.plot(*zip(*points, strict=True), label=label, linewidth=1.2)
        axis.set_title(run.name)
        axis.set_xlabel("step")
        axis.set_ylabel("loss per target token")
        axis.grid(alpha=0.3)
        axis.legend(frameon=False)
    figure.savefig(file, dpi=110)
    plt.close(figure)


def _phase(run: pathlib.Path) -> str:
    setting = {}
    for line in (run / "config.gin").read_text().splitlines():
        key, equals, value = line.partition(" = ")
        if equals:
            setting[key] = value
    steps, batch = int(setting["pretrain.Pretrain.steps"]), int(setting["pretrain.Pretrain.batch_size"])
    objective = setting["pretrain.Pretrain.objective"].strip("@()").rpartition(".")[2]
    logged = [row for row in rows(run) if row.get("examples_per_second")]
    tokens = sum(row["tokens_per_second"] / row["examples_per_second"] for row in logged) / len(logged) * steps * batch
    losses = [row["validation/loss"] for row in rows(run) if "validation/loss" in row]
    perplexity = [row["validation/perplexity"] for row in rows(run) if "validation/perplexity" in row][-1]
    numbers = f"{steps:,} | {steps * batch:,} | {tokens / 1e6:.1f}M | {losses[0]:.3f} | {losses[-1]:.3f} | {perplexity:.1f}"
    return f"| {run.name} | {objective} | {numbers} |"


def _commands(runs: list[pathlib.Path]) -> list[str]:
    made = [f"python -m corpora.{module}" for module in ("fetch", "demo_tasks", "clean", "vocabulary")]
    trained = [f"ptune pretrain --gin gin/runs/pretrain_{run.name}.gin" for run in runs]
    return [*made, *trained, f"python -m corpora.model_card tiny {' '.join(map(str, runs))}"]


def _source(source: dict) -> str:
    train = source["train"]
    numbers = f"{train['documents']:,} | {train['words']:,} | {train['bytes'] / 1e6:.1f}"
    return f"| {source['name']} | {source['licence']} | {numbers} |"


if __name__ == "__main__":
    main(*sys.argv[1:])
