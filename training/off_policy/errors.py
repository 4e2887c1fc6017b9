"""Errors of judging policies on logs.

CannotTellError   the logs hold too little to answer   (the operator explores more, waits longer or keeps text)
PolicySpecError   a policy spec cannot be read         (the caller corrects it)
"""

from training.errors import TrainingError


class CannotTellError(TrainingError):
    """The logs cannot answer; the message says why and what to do."""


class PolicySpecError(TrainingError):
    """A policy spec has an unknown word, or a setting that is out of range."""
