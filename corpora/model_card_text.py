"""The text of a size's card, from what lies beside the shipped models alone: config.json and training.json."""

import pathlib

from ptune_cli import shipped
from ptune_cli.formats import huggingface
from ptune_cli.t5.config import T5Config, parameter_count

CARD = """# {size}

A T5 1.1 of {body:,} parameters besides embeddings, made for demos, tests and teaching: small enough to ship, real enough to
be prompt-tuned. {encoder} encoder and {decoder} decoder layers, d_model {d}, {heads} heads of {head}, MLP {mlp}, {total:,}
parameters in all, stored in bfloat16. Made as the paper's models were: span corruption first, then LM adaptation.

Not for use as a language model: it has read {seen:.0f}M tokens of mostly old text (`corpora/README.md`), and repeats what that
text says about peoples, women and faiths.

## Stages

| model | starts from | objective | steps | examples | tokens seen | seed | held-out loss at step 0 | at the end |
|---|---|---|---|---|---|---|---|---|
{stages}

Each stage of LM adaptation is a run of its own, whose learning rate falls to 0 at its end. Loss is per target token on
{held_out} examples of text that was not trained on, under the stage's own objective: losses of different objectives do not
compare. Tokens are encoder and decoder positions that are not padding. All ran
in float32 on 2 CPU cores.

![losses](loss.png)

## Sizes

Held-out losses of every model that ships with ptune; `ptune models` lists them. They are of the same
examples{except_others}.

| size | parameters besides embeddings | in all | {columns} |
|---|---|---|{rule}
{sizes}

## Commands

`make family SIZES={size}` runs them all:

```
make corpus
{commands}
```

## Text

| source | licence of the text | documents | words | MB |
|---|---|---|---|---|
{text}
| all | | {documents:,} | {words:,} | {megabytes:.1f} |

Packages, versions and checksums: `corpora/packages.py`. The vocabulary (`spiece.model`, 6,000 pieces and 100 sentinels) is
`tiny`'s, trained on the text that `tiny` read. Weights and vocabulary are under the repository's licence, Apache-2.0; WordNet's
text asks that its notice be kept, which `tasks/data/gloss_topic/LICENSE` does.

## Loading

`ptune train --model.checkpoint {size}`; or in transformers, `T5ForConditionalGeneration.from_pretrained(folder)` and
`AutoTokenizer.from_pretrained(folder)`.
"""
OBJECTIVES = {"SpanCorruption": "span corruption", "PrefixLM": "prefix LM"}


def cards(assets: pathlib.Path) -> dict[str, str]:
    """{size: its card} of every size in `assets` of which it is written down how it was trained."""
    trained = {file.parent.name: shipped.training(file.parent) for file in assets.glob(f"*/{shipped.TRAINING}")}
    config = {name: huggingface.read_config(assets / name / huggingface.CONFIG) for name in trained}
    order = sorted(trained, key=lambda name: (parameter_count(config[name]), _steps(trained[name])))
    sizes = {name: config[name] for name in order if name == shipped.size_of(name)}
    return {size: _card(size, sizes, {name: trained[name] for name in order}) for size in sizes}


def _card(size: str, sizes: dict[str, T5Config], trained: dict[str, dict]) -> str:
    config, own = sizes[size], {name: facts for name, facts in trained.items() if shipped.size_of(name) == size}
    text, phases = trained[size]["text"], trained[size]["phases"]
    curves = {each: _losses(each, trained) for each in sizes}
    columns = sorted({column for losses in curves.values() for column in losses}, key=lambda c: (c[0] != "span corruption", c[1]))
    commands = dict.fromkeys(phase["command"] for facts in own.values() for phase in facts["phases"])
    return CARD.format(
        size=size,
        body=_body(config),
        total=parameter_count(config),
        encoder=config.num_encoder_layers,
        decoder=config.num_decoder_layers,
        d=config.emb_dim,
        heads=config.num_heads,
        head=config.head_dim,
        mlp=config.mlp_dim,
        seen=sum(phase["tokens"] for phase in phases) / 1e6,
        stages="\n".join(_stage(name, facts["phases"][-1]) for name, facts in own.items()),
        held_out=phases[-1]["held_out_examples"],
        columns=" | ".join(f"{objective}, step {step:,}" for objective, step in columns),
        rule="---|" * len(columns),
        sizes="\n".join(_size(each, sizes[each], [curves[each].get(column) for column in columns]) for each in sizes),
        except_others=_except_others(size, {each: trained[each]["text"] for each in sizes}),
        commands="\n".join([*commands, f"python -m corpora.model_card {size}"]),
        text="\n".join(_source(source) for source in text),
        documents=sum(source["documents"] for source in text),
        words=sum(source["words"] for source in text),
        megabytes=sum(source["bytes"] for source in text) / 1e6,
    )


def _losses(size: str, trained: dict[str, dict]) -> dict[tuple[str, int], float]:
    """{(objective, step): held-out loss} at the start and the end of every phase of a size's models."""
    phases = [phase for name, facts in trained.items() if shipped.size_of(name) == size for phase in facts["phases"]]
    return {
        (OBJECTIVES[phase["objective"]], found["step"]): found["loss"]
        for phase in phases
        for found in (phase["held_out"][0], phase["held_out"][-1])
    }


def _stage(name: str, phase: dict) -> str:
    start = f"`{phase['initial']}`" if phase["initial"] else "new weights"
    first, last = phase["held_out"][0]["loss"], phase["held_out"][-1]["loss"]
    numbers = f"{phase['steps']:,} | {phase['examples']:,} | {phase['tokens'] / 1e6:.1f}M | {phase['seed']}"
    return f"| `{name}` | {start} | {OBJECTIVES[phase['objective']]} | {numbers} | {first:.3f} | {last:.3f} |"


def _size(size: str, config: T5Config, losses: list[float | None]) -> str:
    told = " | ".join("" if loss is None else f"{loss:.3f}" for loss in losses)
    return f"| `{size}` | {_body(config):,} | {parameter_count(config):,} | {told} |"


def _source(source: dict) -> str:
    numbers = f"{source['documents']:,} | {source['words']:,} | {source['bytes'] / 1e6:.1f}"
    return f"| {source['name']} | {source['licence']} | {numbers} |"


def _except_others(size: str, texts: dict[str, list]) -> str:
    others = " and ".join(f"`{each}`" for each, text in texts.items() if text != texts[size])
    return f", except for {others}, which read\nanother cut of the text (the cards have its counts)" if others else ""


def _body(config: T5Config) -> int:
    """Parameters besides the embedding and the logits' matrix of a T5 1.1."""
    return parameter_count(config) - 2 * config.vocab_size * config.emb_dim


def _steps(facts: dict) -> int:
    return sum(phase["steps"] for phase in facts["phases"])
