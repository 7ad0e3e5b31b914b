"""Ships the models of one size: copies them into ptune_cli/assets, and writes the card that tells how they were made.

python -m corpora.model_card nano
python -m corpora.model_card tiny

`corpora/build/nano_lm900` becomes the model `nano`, any other stage `nano_STAGE`. The cards of the sizes that ship already are
written again, because every card compares them all.
"""

import argparse
import json
import pathlib
import shutil
from collections.abc import Sequence

from corpora import loss_picture, model_card_text, training_facts
from ptune_cli import shipped

STAGES = ("span", "lm90", "lm450", "lm900")
SHIPPED = {"tiny": ("span", "lm900")}  # the sizes of which not every stage ships: one of tiny's is 16 MB
MAIN = "lm900"  # the stage that bears the size's name
FILES = ("config.json", "model.safetensors", "spiece.model")
POINTER = "A stage of the model `{size}`: its card is [../{size}/README.md](../{size}/README.md).\n"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m corpora.model_card", description=__doc__)
    parser.add_argument("size", help="nano, micro, tiny, ...: the runs are SIZE_STAGE")
    parser.add_argument("--stages", nargs="+", choices=STAGES, help="default: all; of tiny, span and lm900")
    parser.add_argument("--assets", type=pathlib.Path, default=shipped.ASSETS, help="where the models go")
    parser.add_argument("--runs", type=pathlib.Path, default=pathlib.Path("corpora/build"), help="where the runs are")
    given = parser.parse_args(arguments)
    stages = given.stages or SHIPPED.get(given.size, STAGES)
    if MAIN not in stages:
        parser.error(f"without {MAIN} there is no model {given.size}, which holds the card")
    unfinished = [stage for stage in stages if not (given.runs / f"{given.size}_{stage}" / "model").is_dir()]
    if unfinished:
        parser.error(f"no model yet of {given.size}'s {', '.join(unfinished)} in {given.runs}")
    ship(given.size, stages, given.runs, given.assets)


def ship(size: str, stages: Sequence[str], runs: pathlib.Path, assets: pathlib.Path) -> None:
    """Copy the stages' models with their facts, draw their losses, and write the cards of all sizes in `assets`.

    What was shipped of this size before is removed.
    """
    sources = json.loads((runs / "text" / "sources.json").read_text())
    for old in (assets / size, *assets.glob(f"{size}_*")):
        shutil.rmtree(old, ignore_errors=True)
    for stage in stages:
        run, target = runs / f"{size}_{stage}", assets / (size if stage == MAIN else f"{size}_{stage}")
        _copy(run / "model", target)
        facts = training_facts.training(run, sources)
        (target / shipped.TRAINING).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        (target / shipped.CARD).write_text(POINTER.format(size=size), encoding="utf-8")
        print(f"{target.name}: {sum(file.stat().st_size for file in target.iterdir()) / 1e6:.1f} MB in {target}")
    loss_picture.draw(_panels(size, stages, runs), assets / size / "loss.png")
    for name, text in model_card_text.cards(assets).items():
        (assets / name / shipped.CARD).write_text(text, encoding="utf-8")


def _copy(model: pathlib.Path, target: pathlib.Path) -> None:
    target.mkdir(parents=True)
    for name in FILES:
        shutil.copyfile(model / name, target / name)


def _panels(size: str, stages: Sequence[str], runs: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    adapted = [runs / f"{size}_{stage}" for stage in stages if stage != "span"]
    return {"span corruption": [runs / f"{size}_span"], "LM adaptation": adapted}


if __name__ == "__main__":
    main()
