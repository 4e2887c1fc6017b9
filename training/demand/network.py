"""The demand network: it reads a prompt as the quality network does, and says what the prompt demands.

    hidden     = gelu(x W1 + b1)                     what the prompt is about
    kinds      = softmax(hidden Wt + bt)             share of each column of graded work, and of everyday work
    factors    = standardise(gelu(hidden W2 + b2))
    difficulty = factors . w0                        within its column, in log odds
    weak       = factors . w1 + c1                   log odds that an average open model of 8B parameters does it
    strong     = factors . w2 + c2                   log odds that the strongest models do it
    length     = gelu(gelu(x W3 + b3) W4 + b4)
    visible    = length . w3 + c3                    log tokens of the visible answer that is asked for
    reasoning  = length . w4 + c4                    log tokens of reasoning at medium effort
    longer     = length . w5                         log tokens more than the average answer to an exam question

The log odds of a row (a model at an effort) are linear in these: in its abilities by column, weighted with the kinds,
less the difficulty; and on everyday work on the line between weak and strong, by its general ability.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from router.features import FEATURE_NAMES


@dataclass(frozen=True, slots=True)
class DemandSettings:
    """Settings of a fit.

    Args:
        n_hidden, n_factors, n_length_hidden, n_length_factors: Widths of the layers.
        input_dropout, hidden_dropout: Shares of units that a fit leaves out.
        length_embedding_dropout, length_marks_dropout: The same, of the inputs of the layers that lengths are read
            from: the embedding, and the structural features.
        epochs: Passes over all prompts.
        batch_prompts: Prompts per step.
        learning_rate: Peak of the one-cycle schedule.
        weight_decay: Weight decay of the AdamW optimizer.
        source_power: A source with n prompts counts as n to this power; 1 counts every prompt alike.
        kind_weight: Weight of naming the column.
        general_weight: Weight of the grades for the line between weak and strong.
        expected_weight: Weight of the expectations of `data/demands` about weak and strong models.
        length_weight: Weight of the lengths.
        visible_weight: Weight of the visible length among the lengths: everyday work has no other.
        seed: Seed of the initial weights, dropout and order.
    """

    n_hidden: int = 128
    n_factors: int = 48
    n_length_hidden: int = 96
    n_length_factors: int = 48
    input_dropout: float = 0.4
    hidden_dropout: float = 0.3
    length_embedding_dropout: float = 0.5
    length_marks_dropout: float = 0.1
    epochs: int = 40
    batch_prompts: int = 192
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    source_power: float = 0.5
    kind_weight: float = 0.5
    general_weight: float = 0.3
    expected_weight: float = 0.5
    length_weight: float = 2.0
    visible_weight: float = 3.0
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class DemandOutput:
    """Outputs for a batch; b prompts, c columns.

    Args:
        kind_logits: Shape (b, c + 1); the last is everyday work.
        difficulty, weak, strong: Log odds, shape (b, 1).
        visible, reasoning: Log tokens, shape (b, 1).
        longer: Log tokens more than the average answer to an exam question, shape (b, 1).
    """

    kind_logits: Tensor
    difficulty: Tensor
    weak: Tensor
    strong: Tensor
    visible: Tensor
    reasoning: Tensor
    longer: Tensor


class DemandNetwork(nn.Module):
    """The network of the module docstring.

    Args:
        n_inputs: Width of the standardised input: the embedding, then the structural features.
        n_columns: Number of columns of graded work.
        settings: Widths and dropout.
    """

    def __init__(self, n_inputs: int, n_columns: int, settings: DemandSettings) -> None:
        super().__init__()
        self.hidden = nn.Linear(n_inputs, settings.n_hidden)
        self.kind = nn.Linear(settings.n_hidden, n_columns + 1)
        self.factor = nn.Linear(settings.n_hidden, settings.n_factors)
        self.standardise = nn.BatchNorm1d(settings.n_factors, affine=False, momentum=0.02)
        self.log_odds = nn.Linear(settings.n_factors, 3)
        self.length_hidden = nn.Linear(n_inputs, settings.n_length_hidden)
        self.length_factor = nn.Linear(settings.n_length_hidden, settings.n_length_factors)
        self.length = nn.Linear(settings.n_length_factors, 3)
        self.n_embedding = n_inputs - len(FEATURE_NAMES)
        self.settings = settings
        for head in (self.kind, self.log_odds, self.length):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def forward(self, inputs: Tensor) -> DemandOutput:
        """Return what the prompts of `inputs` (b, n_inputs) demand."""
        settings = self.settings
        hidden = self._dropped(functional.gelu(self.hidden(self._thinned(inputs, settings.input_dropout))))
        factors = self._dropped(self.standardise(functional.gelu(self.factor(hidden))))
        difficulty, weak, strong = self.log_odds(factors).split(1, dim=-1)
        embedding, marks = inputs[:, : self.n_embedding], inputs[:, self.n_embedding :]
        thinned = torch.cat(
            [
                self._thinned(embedding, settings.length_embedding_dropout),
                self._thinned(marks, settings.length_marks_dropout),
            ],
            dim=1,
        )
        length_hidden = self._dropped(functional.gelu(self.length_hidden(thinned)))
        length = self._dropped(functional.gelu(self.length_factor(length_hidden)))
        visible, reasoning, longer = self.length(length).split(1, dim=-1)
        return DemandOutput(self.kind(hidden), difficulty, weak, strong, visible, reasoning, longer)

    def _thinned(self, inputs: Tensor, share: float) -> Tensor:
        return functional.dropout(inputs, share, self.training)

    def _dropped(self, units: Tensor) -> Tensor:
        return functional.dropout(units, self.settings.hidden_dropout, self.training)
