"""Fits the network to a sparse matrix of grades: the losses skip unknown entries, and the schedule is fixed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from training.network.ensemble import TRUNK_WEIGHTS, NetworkOutput, RoutingNetwork
from training.network.regret import PricedPool, expected_gain
from training.network.starting_point import start_at_means
from training.settings import FitSettings

Float32s = npt.NDArray[np.float32]
_LABEL_SMOOTHING = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class FitTargets:
    """What the network learns for `n` prompts and `m` models.

    Args:
        scores: Shape (n, m), 0..1; NaN where unknown.
        completion_tokens: Shape (n, m); NaN where unknown.
        task_index: Shape (n,), 0..n_tasks - 1.
        n_tasks: Number of kinds of prompts.
        pools: Priced models to choose between, over the same `n` prompts; empty without prices.
    """

    scores: Float32s
    completion_tokens: Float32s
    task_index: npt.NDArray[np.intp]
    n_tasks: int
    pools: Sequence[PricedPool] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    scores: Tensor
    is_graded: Tensor
    log_tokens: Tensor
    is_counted: Tensor
    task_index: Tensor


def fit_network(
    inputs: Float32s,
    targets: FitTargets,
    settings: FitSettings,
    seed: int,
    transfer: Callable[[RoutingNetwork], None] | None = None,
    advance: Callable[[float], None] = lambda share: None,
) -> RoutingNetwork:
    """Fit the ensemble to standardised `inputs` (n, n_inputs) and return it in evaluation mode.

    Args:
        inputs: Standardised inputs.
        targets: Grades, lengths and tasks, row by row.
        settings: Widths, schedule and weights of the losses.
        seed: Seed of the initial weights, dropout and the order of prompts.
        transfer: Function that copies an earlier bundle's weights into the new network; its trunk then has no
            weight decay.
        advance: Function to call after each step, with the share of all steps done since the last call.
    """
    torch.set_num_threads(settings.threads)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    network = RoutingNetwork(inputs.shape[1], targets.n_tasks, targets.scores.shape[1], settings)
    start_at_means(network, targets.scores, targets.completion_tokens, targets.task_index, settings.task_prior_answers)
    if transfer is not None:
        transfer(network)
        network.standardise.leave_as_they_come()
    tensors, rows = _to_tensors(targets), torch.from_numpy(inputs)
    n_prompts = len(inputs)
    batch_prompts = max(2, min(settings.batch_prompts, n_prompts // 8))
    steps_per_epoch = n_prompts // batch_prompts
    epochs = max(settings.epochs, -(-settings.fewest_steps // steps_per_epoch))
    optimizer, schedule = _make_optimizer(
        network, settings, epochs * steps_per_epoch, is_continued=transfer is not None
    )
    order = np.random.default_rng(seed)
    network.train()
    for _ in range(epochs):
        shuffled = torch.from_numpy(order.permutation(n_prompts))
        for step in range(steps_per_epoch):
            chosen = shuffled[step * batch_prompts : (step + 1) * batch_prompts]
            output = network(rows[chosen])
            loss = _loss(output, network.ability, _take(tensors, chosen), settings)
            loss = loss + settings.peculiarity_penalty * network.quality_factor.square().sum()
            for pool in targets.pools:
                gain = expected_gain(
                    pool, chosen, output.quality_logits, output.log_tokens, settings.regret_temperature
                )
                if gain is not None:
                    loss = loss - settings.regret_weight * gain
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
            optimizer.step()
            schedule.step()
            advance(1 / (epochs * steps_per_epoch))
    return network.eval()


def _make_optimizer(
    network: RoutingNetwork, settings: FitSettings, steps: int, is_continued: bool
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    trunk = [weight for name, weight in network.named_parameters() if name in TRUNK_WEIGHTS]
    heads = [weight for name, weight in network.named_parameters() if name not in TRUNK_WEIGHTS]
    groups = [
        # Weight decay would pull the weights of an earlier bundle towards zero.
        {"params": trunk, "weight_decay": 0.0 if is_continued else settings.weight_decay},
        {"params": heads, "weight_decay": settings.weight_decay},
    ]
    optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=settings.learning_rate, total_steps=steps + 1, pct_start=0.15
    )
    return optimizer, schedule


def _to_tensors(targets: FitTargets) -> _Batch:
    is_graded, is_counted = ~np.isnan(targets.scores), ~np.isnan(targets.completion_tokens)
    return _Batch(
        torch.from_numpy(np.where(is_graded, targets.scores, 0).astype(np.float32)),
        torch.from_numpy(is_graded.astype(np.float32)),
        torch.from_numpy(np.where(is_counted, np.log1p(targets.completion_tokens), 0).astype(np.float32)),
        torch.from_numpy(is_counted.astype(np.float32)),
        torch.from_numpy(targets.task_index.astype(np.int64)),
    )


def _take(batch: _Batch, rows: Tensor) -> _Batch:
    return _Batch(
        batch.scores[rows],
        batch.is_graded[rows],
        batch.log_tokens[rows],
        batch.is_counted[rows],
        batch.task_index[rows],
    )


def _loss(output: NetworkOutput, ability: Tensor, batch: _Batch, settings: FitSettings) -> Tensor:
    members = output.task_logits.shape[0]
    graded, counted = batch.is_graded.sum().clamp(min=1), batch.is_counted.sum().clamp(min=1)

    def grade_loss(logits: Tensor) -> Tensor:
        scores = batch.scores.expand_as(logits)
        return (
            functional.binary_cross_entropy_with_logits(logits, scores, reduction="none") * batch.is_graded
        ).sum() / graded

    lengths = (output.log_tokens - batch.log_tokens).square() / 2
    task = functional.cross_entropy(
        output.task_logits.flatten(0, 1),
        batch.task_index.repeat(members),
        label_smoothing=_LABEL_SMOOTHING,
        reduction="mean",
    )
    return (
        grade_loss(output.quality_logits)
        + settings.difficulty_weight * grade_loss(ability - output.difficulty)
        + settings.tokens_weight * (lengths * batch.is_counted).sum() / counted
        + settings.task_weight * task * members
    )
