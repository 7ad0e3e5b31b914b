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
        prompt, step = (np.asarray(array.addressable_data(0)) for array in (_prompt(train_state.params), train_state.step))
        file = prompt_format.PromptFile(prompt, {"step": int(step), "length": len(prompt), "placement": "prefix"})
        prompt_format.write(self.folder / "prompts" / str(step), file)
        return False


def _prompt(params: Any) -> Any:
    return params["encoder"]["prompt"]["prompt"]["prompt"]
