"""When logs cannot tell.

CannotTellError   the logs hold too little of what was asked about   (whoever logs mends: explore more, wait longer, keep text)
PolicySpecError   a policy's description cannot be read              (caller mends)
"""

from training.errors import TrainingError


class CannotTellError(TrainingError):
    """The logs cannot answer; the message says why and what would mend it."""


class PolicySpecError(TrainingError):
    """A policy is described in words that nobody knows, or with settings out of range."""
