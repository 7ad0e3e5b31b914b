"""Prompt tuning of frozen T5 models, from the shell."""

__version__ = "0.1.0"
