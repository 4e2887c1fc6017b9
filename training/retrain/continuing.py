"""Fine-tunes the champion's network on logged rewards of requests whose text was kept, and on grades of a corpus.

The loss has four parts:

- the reward of the lane that answered, weighted by its precision;
- the grades of the corpus, if there is one; they keep what the champion learned from it;
- the champion's own beliefs about all other lanes of the logged prompts, because their answers do not exist;
- the distance from the champion's weights, so that little evidence changes them little.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from training.bundle.export_onnx import GraphParts
from training.retrain.fused_network import FusedNetwork

Float32s = npt.NDArray[np.float32]
Float16s = npt.NDArray[np.float16]
Ints = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class ContinueSettings:
    """Settings of the fine-tuning.

    Args:
        epochs: Number of passes over the rewards.
        batch_requests: Number of rewards per step.
        most_steps: Largest number of steps; with very many rewards there are fewer passes.
        learning_rate: Peak learning rate of the one-cycle schedule.
        keep_weight: Weight of the champion's beliefs about the lanes that did not answer.
        corpus_weight: Weight of the grades of the corpus.
        anchor: Weight of the squared distance from the champion's weights.
        input_dropout, hidden_dropout: Shares of units that are dropped.
    """

    epochs: int = 8
    batch_requests: int = 256
    most_steps: int = 6_000
    learning_rate: float = 1e-3
    keep_weight: float = 0.3
    corpus_weight: float = 1.0
    anchor: float = 1e-3
    input_dropout: float = 0.3
    hidden_dropout: float = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class RewardTargets:
    """`k` rewards of requests with text.

    Args:
        inputs: Shape (t, n_inputs), standardised; may be a memory map.
        row: Shape (k,), row of each request in `inputs`.
        model: Shape (k,), column of the model that answered.
        reward, weight: Shape (k,), reward 0..1 and its weight in the loss.
    """

    inputs: Float16s
    row: Ints
    model: Ints
    reward: Float32s
    weight: Float32s


@dataclass(frozen=True, slots=True, eq=False)
class GradeTargets:
    """Grades of `n` prompts of a corpus.

    Args:
        inputs: Shape (n, n_inputs), standardised.
        scores: Shape (n, m), grades of the network's models; NaN where unknown.
    """

    inputs: Float16s
    scores: Float32s


def continue_network(
    parts: GraphParts,
    rewards: RewardTargets,
    grades: GradeTargets | None,
    settings: ContinueSettings,
    seed: int,
    advance: Callable[[float], None] = lambda share: None,
) -> GraphParts:
    """Return the parts with the fine-tuned network; the same input and seed give the same weights on one machine."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    network = FusedNetwork(parts, settings.input_dropout, settings.hidden_dropout)
    before = FusedNetwork(parts).eval()
    start = [weight.detach().clone() for weight in network.parameters()]
    steps = _count_steps(len(rewards.model), settings)
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=steps + 1, pct_start=0.15
    )
    draw, draw_grades = _batches(len(rewards.model), settings, seed), None
    if grades is not None:
        draw_grades = _batches(len(grades.inputs), settings, seed + 1)
    network.train()
    for _ in range(steps):
        loss = _reward_loss(network, before, rewards, next(draw), parts.n_models, settings)
        if grades is not None and draw_grades is not None:
            loss = loss + settings.corpus_weight * _grade_loss(network, grades, next(draw_grades), parts.n_models)
        distance = sum(
            (weight - origin).square().sum() for weight, origin in zip(network.parameters(), start, strict=True)
        )
        loss = loss + settings.anchor * distance
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation
        optimizer.step()
        schedule.step()
        advance(1 / steps)
    return replace(parts, fused=network.fused())


def _count_steps(n_rewards: int, settings: ContinueSettings) -> int:
    return min(max(settings.epochs * n_rewards // settings.batch_requests, 1), settings.most_steps)


def _batches(n_rows: int, settings: ContinueSettings, seed: int) -> Iterator[Ints]:
    random = np.random.default_rng(seed)
    size = min(settings.batch_requests, n_rows)
    while True:
        order = random.permutation(n_rows)
        for start in range(0, n_rows - size + 1, size):
            yield np.sort(order[start : start + size])  # sorted rows of a memory map are read faster


def _reward_loss(
    network: FusedNetwork,
    before: FusedNetwork,
    rewards: RewardTargets,
    rows: Ints,
    n_models: int,
    settings: ContinueSettings,
) -> Tensor:
    inputs = torch.from_numpy(np.asarray(rewards.inputs[rewards.row[rows]], np.float32))
    logits = network(inputs)[..., :n_models]  # (members, batch, m)
    model = torch.from_numpy(rewards.model[rows].astype(np.int64))
    weight = torch.from_numpy(rewards.weight[rows])
    answered = logits.gather(2, model[None, :, None].expand(len(logits), -1, 1))[..., 0]  # (members, batch)
    reward = torch.from_numpy(rewards.reward[rows]).expand_as(answered)
    loss = (functional.binary_cross_entropy_with_logits(answered, reward, reduction="none") * weight).mean()
    if settings.keep_weight:
        with torch.no_grad():
            believed = before(inputs)[..., :n_models].mean(dim=0).sigmoid().expand_as(logits)
        kept = functional.binary_cross_entropy_with_logits(logits, believed, reduction="none")
        loss = loss + settings.keep_weight * kept.mean()
    return loss


def _grade_loss(network: FusedNetwork, grades: GradeTargets, rows: Ints, n_models: int) -> Tensor:
    logits = network(torch.from_numpy(np.asarray(grades.inputs[rows], np.float32)))[..., :n_models]
    scores = torch.from_numpy(grades.scores[rows])
    is_graded = ~scores.isnan()
    losses = functional.binary_cross_entropy_with_logits(
        logits, scores.nan_to_num().expand_as(logits), reduction="none"
    )
    return (losses * is_graded).sum() / (is_graded.sum() * len(logits)).clamp(min=1)
