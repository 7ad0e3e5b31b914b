"""Registers every task and mixture in seqio under the original code's names, for T5X: `--gin.MIXTURE_OR_TASK_MODULE`.

    t5x ... --gin.MIXTURE_OR_TASK_MODULE="'tasks.register'" --gin.MIXTURE_OR_TASK_NAME="'taskless_super_glue_boolq_v102'"

The vocabulary is T5's own; ptune itself never imports this module, and prepares tasks with the base model's vocabulary.
"""

# ruff: noqa: TID253 - only a program that uses seqio imports this module

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import seqio

from tasks import catalog, language_modeling, mixtures
from tasks.metrics import METRICS
from tasks.pieces import T5
from tasks.postprocessors import POSTPROCESSORS


def register(vocabulary_path: str = T5) -> None:
    """Adds what seqio's registries do not have yet. A task that is all put together from others becomes a mixture of them."""
    for name, entry in catalog.tasks().items():
        if entry.has_data and name not in seqio.TaskRegistry.names():
            built = importlib.import_module(entry.module).task(name, vocabulary_path)
            metrics = [_metric(metric, entry) for metric in entry.metrics]
            seqio.TaskRegistry.add_provider(name, built.replace(postprocess_fn=_postprocess(entry), metric_fns=metrics))
    for name in language_modeling.C4:
        if name not in seqio.TaskRegistry.names():
            seqio.TaskRegistry.add_provider(name, language_modeling.task(name, vocabulary_path))
    for name, rates in mixtures.all_mixtures().items():
        if name not in seqio.MixtureRegistry.names():
            seqio.MixtureRegistry.add(name, list(rates.items()))


def _postprocess(entry: catalog.Entry) -> Callable:
    post = POSTPROCESSORS[entry.postprocess]

    def postprocess(text: str, example: dict | None = None, is_target: bool = False) -> object:
        return post(text, _row(example or {}), entry.labels, is_target)

    return postprocess


def _row(example: Mapping) -> dict[str, Any]:
    """seqio's example as a prepared row is: texts from before they were token ids, and no NumPy."""
    texts = {key.removesuffix("_pretokenized"): value for key, value in example.items() if key.endswith("_pretokenized")}
    return {key: _plain(value) for key, value in {**example, **texts}.items()}


def _plain(value: Any) -> Any:
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


def _metric(name: str, entry: catalog.Entry) -> Callable:
    """seqio tells by the parameters' names that a metric wants decoded targets and predictions, and logs it by its name."""

    def metric(targets, predictions):
        return METRICS[name](targets, predictions, entry.labels)

    metric.__name__ = name
    return metric


register()
