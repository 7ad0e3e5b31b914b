"""The models, inputs and labels of `peft_case` in torch, with a prompt of PEFT's. Imported only where peft is installed."""

from pathlib import Path
from typing import Any

import numpy as np
import peft_case
import torch
from peft import PeftModel, PromptTuningConfig, get_peft_model
from peft_case import ANSWER, INPUTS, LABELS, cut
from transformers import T5ForConditionalGeneration

from ptune_cli.data.batch import pad


def base(name: str, folder: Path) -> Any:
    """The tiny model of this name, by way of a Hugging Face folder."""
    return T5ForConditionalGeneration.from_pretrained(peft_case.write(name, folder)).eval()


def untrained(model: Any, **settings: Any) -> Any:
    """The model with a new prompt of PEFT's own, its rows random."""
    torch.manual_seed(0)
    return get_peft_model(model, PromptTuningConfig(task_type="SEQ_2_SEQ_LM", **settings)).eval()


def loaded(model: Any, adapter: Path) -> Any:
    """The model with an adapter."""
    return PeftModel.from_pretrained(model, adapter).eval()


def generated(model: Any) -> list[list[int]]:
    """What PEFT's `generate` answers to the inputs, all in one padded batch: ids, to EOS."""
    ids = _padded(INPUTS)
    found = model.generate(input_ids=ids, attention_mask=(ids != 0).long(), max_new_tokens=ANSWER, do_sample=False)
    return [cut(row[1:]) for row in found.tolist()]


def log_likelihoods(model: Any) -> np.ndarray:
    """The summed log-probability [B] of each input's label, in PEFT's forward pass; its loss is their mean over tokens."""
    ids, labels = _padded(INPUTS), _padded(LABELS)
    with torch.no_grad():
        found = model(input_ids=ids, attention_mask=(ids != 0).long(), labels=labels.masked_fill(labels == 0, -100))
    log_p = torch.log_softmax(found.logits, dim=-1).gather(-1, labels[..., None])[..., 0] * (labels != 0)
    assert abs(-log_p.sum() / (labels != 0).sum() - found.loss) < 1e-5
    return log_p.sum(dim=1).numpy()


def _padded(rows: list[np.ndarray]) -> torch.Tensor:
    return torch.tensor(pad(rows, max(map(len, rows)))).long()
