"""Fits the demand network to graded work and to prompts with expected demands."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from router.log_odds import logit
from training.demand.graded_work import DemandExamples, GradedWork
from training.demand.network import DemandNetwork, DemandOutput, DemandSettings
from training.demand.row_beliefs import RowBeliefs

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

_LABEL_SMOOTHING = 0.01
_LEAST_CHANCE = 0.01
_EVERYDAY = "demands"


@dataclass(frozen=True, slots=True, eq=False)
class _Targets:
    """Tensors over all prompts, graded ones first."""

    n_graded: int
    kind: Tensor  # (n,)
    weight: Tensor  # (n,), weight of the prompt's source
    scores: Tensor  # (n_graded, r)
    is_graded: Tensor  # (n_graded, r)
    n_answers: Tensor  # (n_graded,), at least 1
    expected: Tensor  # (n_examples, 2), log odds of weak and strong
    lengths: Tensor  # (n, 3), log tokens: visible, reasoning, longer
    has_length: Tensor  # (n, 3)
    abilities: Tensor  # (c, r)
    general: Tensor  # (r,)


def fit_demand_network(
    inputs: Float32s,
    work: GradedWork,
    examples: DemandExamples,
    beliefs: RowBeliefs,
    settings: DemandSettings,
    advance: Callable[[float], None] = lambda share: None,
) -> DemandNetwork:
    """Fit the network and return it in evaluation mode.

    Args:
        inputs: Standardised inputs of the graded prompts, then of the examples, shape (n, n_inputs).
        work: Graded prompts.
        examples: Prompts with expected demands.
        beliefs: Abilities of the rows of `work`, which stay as they are.
        settings: Widths, schedule and weights.
        advance: Function to call after each step, with the share of all steps done since the last call.
    """
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(settings.seed)
    order = np.random.default_rng(settings.seed)
    targets = _targets(work, examples, beliefs, settings)
    rows = torch.from_numpy(inputs)
    network = DemandNetwork(inputs.shape[1], len(beliefs.columns), settings)
    with torch.no_grad():
        network.log_odds.bias[1:] = targets.expected.mean(dim=0)
        network.length.bias[:] = (targets.lengths * targets.has_length).sum(0) / targets.has_length.sum(0).clamp(min=1)
    steps = len(rows) // settings.batch_prompts
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=settings.learning_rate, total_steps=settings.epochs * steps + 1, pct_start=0.15
    )
    network.train()
    for _ in range(settings.epochs):
        shuffled = torch.from_numpy(order.permutation(len(rows)))
        for step in range(steps):
            chosen = shuffled[step * settings.batch_prompts : (step + 1) * settings.batch_prompts]
            loss = _loss(network(rows[chosen]), chosen, targets, settings)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
            optimizer.step()
            schedule.step()
            advance(1 / (settings.epochs * steps))
    return network.eval()


def run_demand_network(network: DemandNetwork, inputs: Float32s) -> "DemandBeliefs":
    """Return what the prompts of `inputs` (n, n_inputs) demand."""
    with torch.inference_mode():
        output = network(torch.from_numpy(inputs))
        return DemandBeliefs(
            output.kind_logits.softmax(dim=-1).numpy(),
            *(
                getattr(output, name)[:, 0].numpy()
                for name in ("difficulty", "weak", "strong", "visible", "reasoning", "longer")
            ),
        )


@dataclass(frozen=True, slots=True, eq=False)
class DemandBeliefs:
    """What `n` prompts demand.

    Args:
        kinds: Shares of the columns and, last, of everyday work, shape (n, c + 1); each row sums to 1.
        difficulty, weak, strong: Log odds, shape (n,).
        visible, reasoning, longer: Log tokens, shape (n,).
    """

    kinds: Float32s
    difficulty: Float32s
    weak: Float32s
    strong: Float32s
    visible: Float32s
    reasoning: Float32s
    longer: Float32s


def _targets(work: GradedWork, examples: DemandExamples, beliefs: RowBeliefs, settings: DemandSettings) -> _Targets:
    n_columns, n_examples = len(beliefs.columns), len(examples.prompts)
    place = {name: number for number, name in enumerate(beliefs.columns)}
    sources = pd.Series([*work.sources, *[_EVERYDAY] * n_examples])
    weight = (sources.map(sources.value_counts()).to_numpy(np.float64)) ** (settings.source_power - 1)
    is_graded = ~np.isnan(work.scores)
    column = np.array([place[name] for name in work.columns])
    counts_all = beliefs.counts_all[column, None]
    counted = np.where(counts_all, work.tokens, work.visible)
    usual = np.where(counts_all, beliefs.column_tokens.T[column], beliefs.column_visible.T[column])
    longer = _typical(np.log(np.maximum(counted, 1)), usual)
    thought = _typical(np.log(np.where(work.reasoning > 0, work.reasoning, np.nan)), beliefs.column_reasoning.T[column])
    # What an exam question asks for says little about other work, so its length has an output of its own.
    is_exam = np.isin(work.columns, work.reference_columns)
    nothing = np.full(n_examples, np.nan)
    visible = np.r_[np.where(is_exam, np.nan, longer + beliefs.visible_levels[column]), np.log(examples.visible[:, 1])]
    reasoning = np.r_[np.where(is_exam, np.nan, thought + beliefs.reasoning_levels[column]), np.log(examples.reasoning)]
    longer = np.r_[np.where(is_exam, longer, np.nan), nothing]
    lengths = np.stack([visible, reasoning, longer], axis=1)
    expected = logit(np.stack([examples.weak, examples.strong], axis=1), least=_LEAST_CHANCE)
    return _Targets(
        len(work.prompts),
        torch.tensor([*column, *[n_columns] * n_examples]),
        _tensor(weight / weight.mean()),
        _tensor(np.nan_to_num(work.scores)),
        _tensor(is_graded),
        _tensor(is_graded.sum(axis=1).clip(1)),
        _tensor(expected),
        _tensor(np.nan_to_num(lengths)),
        _tensor(~np.isnan(lengths)),
        _tensor(beliefs.abilities.T),
        _tensor(beliefs.general),
    )


def _typical(log_tokens: Float32s, of_rows: Floats) -> Floats:
    """Return the mean log tokens of each prompt, were all rows as wordy as the average, shape (n,); NaN if unknown."""
    differences = log_tokens - of_rows
    counts = (~np.isnan(differences)).sum(axis=1)
    return np.asarray(np.where(counts > 0, np.nansum(differences, axis=1) / np.maximum(counts, 1), np.nan))


def _loss(output: DemandOutput, chosen: Tensor, targets: _Targets, settings: DemandSettings) -> Tensor:
    is_graded = chosen < targets.n_graded
    graded, examples = chosen[is_graded], chosen[~is_graded] - targets.n_graded
    weight = targets.weight[chosen]
    kinds = output.kind_logits[is_graded][:, :-1].softmax(dim=-1)
    line = output.weak + targets.general * (output.strong - output.weak)
    answer_weight = targets.n_answers[graded].sqrt() * targets.weight[graded]
    answer_weight = answer_weight / (targets.n_answers.sqrt() * targets.weight[: targets.n_graded]).mean()

    def grade_loss(log_odds: Tensor) -> Tensor:
        surprise = functional.binary_cross_entropy_with_logits(log_odds, targets.scores[graded], reduction="none")
        return ((surprise * targets.is_graded[graded]).sum(-1) / targets.n_answers[graded] * answer_weight).mean()

    naming = functional.cross_entropy(
        output.kind_logits, targets.kind[chosen], label_smoothing=_LABEL_SMOOTHING, reduction="none"
    )
    lengths = torch.cat([output.visible, output.reasoning, output.longer], dim=1)
    length_loss = functional.huber_loss(lengths, targets.lengths[chosen], reduction="none")
    length_loss = length_loss * length_loss.new_tensor([settings.visible_weight, 1.0, 1.0])
    total = (
        settings.kind_weight * (naming * weight).mean()
        + settings.length_weight * (length_loss * targets.has_length[chosen] * weight[:, None]).sum(1).mean()
    )
    if len(graded):
        total = total + grade_loss(kinds @ targets.abilities - output.difficulty[is_graded])
        total = total + settings.general_weight * grade_loss(line[is_graded])
    if len(examples):
        stated = torch.cat([output.weak, output.strong], dim=1)[~is_graded]
        errors = (stated - targets.expected[examples]).square().sum(1)
        total = total + settings.expected_weight * (errors * weight[~is_graded]).sum() / len(chosen)
    return total


def _tensor(values: npt.ArrayLike) -> Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))
