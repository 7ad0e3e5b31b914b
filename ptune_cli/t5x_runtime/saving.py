"""Prompt files out of a run of T5X, whose own checkpoints hold the whole model."""

from pathlib import Path
from typing import Any

import numpy as np
from t5x import trainer  # pyright: ignore[reportMissingImports] - not in every environment

from ptune_cli.formats import prompt as prompt_format


class SavePrompt(trainer.BaseAction):
    """Writes `{folder}/prompts/{step}/prompt.safetensors` and `prompt.npy` when T5X has evaluated (its actions' TRAIN_EVAL)."""

    def __init__(self, folder: str):
        self.folder = Path(folder)

    def run(self, train_state: Any, metrics_by_task: Any) -> bool:
        """False: training goes on. Every device has all of a prompt, so the first process writes it alone."""
        prompt = np.asarray(_prompt(train_state.params).addressable_data(0))
        step = int(train_state.step.addressable_data(0))  # a float, once T5X has restored it
        file = prompt_format.PromptFile(prompt, {"step": step, "length": len(prompt), "placement": "prefix"})
        prompt_format.write(self.folder / "prompts" / str(step), file)
        return False


def _prompt(params: Any) -> Any:
    return params["encoder"]["prompt"]["prompt"]["prompt"]
