"""The network that training fits: an ensemble of small multi-task networks.

Each reads the static embedding and the structural features. Its heads share one trunk, in the spirit of item response
theory:

    hidden      = gelu(x W1 + b1)                             what the prompt is about
    task        = softmax(hidden Wt + bt)                     kind of prompt, learned from the corpus' task column
    factors     = standardise(gelu(hidden W2 + b2))           latent demands of the prompt
    difficulty  = factors . wd                                one number on the models' ability scale
    logit_m     = ability_m - (1 + s_m) difficulty + factors . q_m + task . v_m
    length      = gelu(x W3 + b3)                             what makes answers long
    log tokens_m= length . l_m + task . u_m + c_m

Factors are standardised so that a penalty on q_m means the same for each factor. Length has a layer of its own, because
what makes answers long is not what makes them wrong. The members share one set of arrays with a leading axis
(n_members, ...), so that they are fitted and served together.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.settings import FitSettings

TRUNK_WEIGHTS = frozenset(
    {
        "hidden_weight",
        "hidden_bias",
        "factor_weight",
        "factor_bias",
        "difficulty_weight",
        "length_weight",
        "length_bias",
    }
)
"""Parameters that describe prompts, not models; a fit from an earlier bundle copies these whole."""
MODEL_WEIGHTS = frozenset({"ability", "quality_factor", "tokens_length", "tokens_bias"})
"""Parameters with one column per model; a fit from an earlier bundle copies the columns of the models in both."""


@dataclass(frozen=True, slots=True, eq=False)
class NetworkOutput:
    """Outputs of the members for a batch; every tensor has the leading shape (n_members, batch)."""

    quality_logits: Tensor  # (members, batch, models)
    difficulty: Tensor  # (members, batch, 1)
    log_tokens: Tensor  # (members, batch, models)
    task_logits: Tensor  # (members, batch, tasks)


class RoutingNetwork(nn.Module):
    """The network; the module docstring describes it. Heads start at zero: an unfitted model equals the pooled one.

    Args:
        n_inputs: Width of the standardised input.
        n_tasks: Number of kinds of prompts in the corpus.
        n_trained: Number of models in the corpus.
        settings: Widths, dropout and the number of members.
    """

    def __init__(self, n_inputs: int, n_tasks: int, n_trained: int, settings: FitSettings) -> None:
        super().__init__()
        members, hidden, factors = settings.n_members, settings.n_hidden, settings.n_factors
        self.hidden_weight = _uniform(members, n_inputs, hidden)
        self.hidden_bias = _zeros(members, 1, hidden)
        self.factor_weight = _uniform(members, hidden, factors)
        self.factor_bias = _zeros(members, 1, factors)
        self.task_weight = _uniform(members, hidden, n_tasks)
        self.task_bias = _zeros(members, 1, n_tasks)
        self.length_weight = _uniform(members, n_inputs, settings.n_token_hidden)
        self.length_bias = _zeros(members, 1, settings.n_token_hidden)
        self.difficulty_weight = _zeros(members, factors, 1)
        self.difficulty_slope = _zeros(members, 1, n_trained)
        self.ability = _zeros(members, 1, n_trained)
        self.quality_factor = _zeros(members, factors, n_trained)
        self.quality_task = _zeros(members, n_tasks, n_trained)
        self.tokens_length = _zeros(members, settings.n_token_hidden, n_trained)
        self.tokens_task = _zeros(members, n_tasks, n_trained)
        self.tokens_bias = _zeros(members, 1, n_trained)
        self.standardise = FactorStandardiser(members, factors)
        self.input_dropout = nn.Dropout(settings.input_dropout)
        self.hidden_dropout = nn.Dropout(settings.hidden_dropout)

    def forward(self, inputs: Tensor) -> NetworkOutput:
        """Return the beliefs of every member about `inputs` (batch, n_inputs)."""
        spread = inputs.expand(self.hidden_weight.shape[0], -1, -1)  # (members, batch, inputs)
        hidden = self.hidden_dropout(
            functional.gelu(self.input_dropout(spread) @ self.hidden_weight + self.hidden_bias)
        )
        task_logits = hidden @ self.task_weight + self.task_bias
        task = task_logits.softmax(dim=-1)
        factors = self.hidden_dropout(self.standardise(functional.gelu(hidden @ self.factor_weight + self.factor_bias)))
        difficulty = factors @ self.difficulty_weight
        logits = (
            self.ability
            - (1 + self.difficulty_slope) * difficulty
            + factors @ self.quality_factor
            + task @ self.quality_task
        )
        length = self.hidden_dropout(
            functional.gelu(self.input_dropout(spread) @ self.length_weight + self.length_bias)
        )
        log_tokens = length @ self.tokens_length + task @ self.tokens_task + self.tokens_bias
        return NetworkOutput(logits, difficulty, log_tokens, task_logits)


class FactorStandardiser(nn.Module):
    """Brings every factor to mean 0 and deviation 1, by running statistics of the fit.

    A network that continues an earlier one does not standardise (`leave_as_they_come`): its weights already hold the
    scale.
    """

    def __init__(self, members: int, factors: int) -> None:
        super().__init__()
        self._shape = (members, 1, factors)
        self._norm: nn.BatchNorm1d | None = nn.BatchNorm1d(members * factors, affine=False, momentum=0.02)

    def leave_as_they_come(self) -> None:
        """Switch standardising off."""
        self._norm = None

    def forward(self, factors: Tensor) -> Tensor:
        """Return `factors` (members, batch, factors), standardised."""
        if self._norm is None:
            return factors
        members, batch, n_factors = factors.shape
        side_by_side = factors.permute(1, 0, 2).reshape(batch, members * n_factors)
        standard: Tensor = self._norm(side_by_side)
        return standard.reshape(batch, members, n_factors).permute(1, 0, 2)

    def line(self) -> tuple[Tensor, Tensor]:
        """Return (scale, offset), each (members, 1, factors): a fitted network computes scale * factors + offset."""
        if self._norm is None:
            return torch.ones(self._shape), torch.zeros(self._shape)
        mean, variance = self._norm.running_mean, self._norm.running_var
        assert mean is not None
        assert variance is not None
        scale = (variance + self._norm.eps).rsqrt()
        return scale.reshape(self._shape), (-mean * scale).reshape(self._shape)


def _uniform(members: int, rows: int, columns: int) -> nn.Parameter:
    bound = rows**-0.5
    return nn.Parameter(torch.empty(members, rows, columns).uniform_(-bound, bound))


def _zeros(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(*shape))
