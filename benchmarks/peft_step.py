"""Hugging Face PEFT's prompt tuning as a worker: the batch padded to its own longest row, AdamW.

It runs in an environment with torch, transformers and peft, and imports nothing of ptune.
"""

import argparse
from typing import Any

import peft
import torch
from transformers import T5ForConditionalGeneration

from benchmarks import worker
from benchmarks.rows import Rows


def prompted(options: argparse.Namespace, prompt: torch.Tensor) -> Any:
    """The frozen model with a trainable prompt [P, D] that starts as `prompt`, without dropout."""
    model = T5ForConditionalGeneration.from_pretrained(options.model, dtype=getattr(torch, options.dtype), dropout_rate=0.0)
    settings = peft.PromptTuningConfig(
        task_type=peft.TaskType.SEQ_2_SEQ_LM,
        num_virtual_tokens=len(prompt),
        num_transformer_submodules=1,  # PEFT's default of two makes twice as many rows, and uses the first half
        tokenizer_name_or_path=None,
    )
    tuned = peft.get_peft_model(model, settings).train()
    with torch.no_grad():
        tuned.prompt_encoder["default"].embedding.weight.copy_(prompt)
    return tuned


def load(options: argparse.Namespace) -> worker.Step:
    """The step of one prompt."""
    rows = Rows(options.rows, options.batch)
    model = prompted(options, torch.from_numpy(rows.prompt))
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=0.3)

    def run(task: str, t: int) -> dict[str, Any]:
        inputs, targets = (torch.from_numpy(ids).long() for ids in rows.batch(task, t, to_longest=True))
        labels = targets.masked_fill(targets == 0, -100)
        loss = model(input_ids=inputs, attention_mask=(inputs > 0).long(), labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return {"loss": loss.item()}

    return run


if __name__ == "__main__":
    worker.serve(load, worker.arguments().parse_args(), ("torch", "transformers", "peft"))
