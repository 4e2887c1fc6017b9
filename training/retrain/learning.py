"""Learns new parts of the graph from evidence.

There are three steps: a correction of the champion's logits by all rewards, fine-tuning of the network on requests
whose text was kept, and a correction of lengths.

The first two steps have to earn their place on requests that they did not learn from. A step is taken only if it
predicts the rewards of the calibrating conversations better than without it, by more than one standard error.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router.log_odds import logit
from training.bundle.export_onnx import GraphParts
from training.network.calibration import fit_length_line
from training.retrain.champion import Champion
from training.retrain.continuing import GradeTargets, RewardTargets, continue_network
from training.retrain.correction import Judged, LogitMap, LogitSpace, NotedAbility, fit_logistic, fit_logit_map
from training.retrain.evidence_table import CALIBRATE, TEST, TRAIN, Evidence
from training.retrain.fused_network import run_heads
from training.retrain.settings import RetrainSettings

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Advance = Callable[[float], None]

_FEWEST_TO_CHOOSE = 30
_FEWEST_LENGTHS = 20
_UNKNOWN_SHARE = 0.05
_LINE_OFFSET_STD, _LINE_SLOPE_STD = 0.3, 0.2
_ROWS_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """Result of the test of a step on the calibrating conversations.

    Args:
        step: Name of the step.
        is_taken: Whether the step is taken.
        n_rewards: Number of rewards in the test.
        loss_before, loss_after: Mean log loss of the rewards without the step and with it.
        error: Standard error of the difference of the losses.
    """

    step: str
    is_taken: bool
    n_rewards: int
    loss_before: float
    loss_after: float
    error: float


def log_loss(logits: Floats, reward: Floats) -> Floats:
    """Return the log loss of each reward, shape (k,)."""
    return np.asarray(np.logaddexp(0, logits) - reward * logits, np.float64)


def judged_rows(evidence: Evidence, rows: Ints, space: LogitSpace, settings: RetrainSettings) -> Judged:
    """Return the rewards of these rows as the correction reads them."""
    return Judged(
        space.filled(np.asarray(evidence.logits[rows], np.float64)),
        evidence.model[rows],
        evidence.reward[rows],
        evidence.weights(rows, settings),
    )


def fit_correction(
    champion: Champion, evidence: Evidence, noted_abilities: Sequence[NotedAbility | None], settings: RetrainSettings
) -> LogitMap:
    """Return the correction that is fitted to the training conversations."""
    space = space_of(champion, evidence)
    rows = np.flatnonzero(evidence.split == TRAIN)
    return fit_logit_map(judged_rows(evidence, rows, space, settings), space, noted_abilities)


def learn_correction(
    champion: Champion, evidence: Evidence, noted_abilities: Sequence[NotedAbility | None], settings: RetrainSettings
) -> tuple[LogitMap, Choice]:
    """Fit the correction to the training conversations, test it, and return it with the choice.

    If it does not improve the champion's models, they stay as they are, and only the new models are added.
    """
    correction = fit_correction(champion, evidence, noted_abilities, settings)
    space = space_of(champion, evidence)
    held = np.flatnonzero((evidence.split == CALIBRATE) & (evidence.model < champion.parts.n_models))
    logits = space.filled(np.asarray(evidence.logits[held], np.float64))
    choice = choose_step(
        "correction",
        logits[np.arange(len(held)), evidence.model[held]],
        correction.apply(logits)[np.arange(len(held)), evidence.model[held]],
        evidence.reward[held],
        evidence.conversation[held],
    )
    return (correction if choice.is_taken else correction.only_new(champion.parts.n_models)), choice


def space_of(champion: Champion, evidence: Evidence) -> LogitSpace:
    """Return the champion's space, with components of the models whose log odds are known in nearly all evidence."""
    unknown = np.zeros(champion.parts.n_models)
    for start in range(0, len(evidence), _ROWS_AT_ONCE):
        unknown += np.isnan(evidence.logits[start : start + _ROWS_AT_ONCE]).sum(axis=0)
    return LogitSpace.of(logit(champion.reference.quality), unknown <= _UNKNOWN_SHARE * len(evidence))


def choose_step(
    step: str, before: Floats, after: Floats, reward: Floats, conversation: npt.NDArray[np.uint64]
) -> Choice:
    """Return the choice of a step: it is taken if its logits predict rewards better by more than one standard error.

    The standard error is that of conversations, because the rewards of one conversation are alike.

    Args:
        step: Name of the step.
        before, after: Shape (k,), logits without the step and with it.
        reward: Shape (k,), rewards.
        conversation: Shape (k,), numbers of the conversations.
    """
    if len(np.unique(conversation)) < _FEWEST_TO_CHOOSE:
        return Choice(step, False, len(reward), float("nan"), float("nan"), float("nan"))
    losses = log_loss(before, reward), log_loss(after, reward)
    gain = losses[0] - losses[1]
    error = _clustered_error(gain, conversation)
    return Choice(step, bool(gain.mean() > error), len(reward), float(losses[0].mean()), float(losses[1].mean()), error)


def _clustered_error(values: Floats, cluster: npt.NDArray[np.uint64]) -> float:
    """Return the standard error of the mean of values that depend on each other within clusters (at least 2).

    The sums of the clusters' deviations from the mean are independent (Liang and Zeger 1986, "Longitudinal data
    analysis using generalized linear models").
    """
    _, place = np.unique(cluster, return_inverse=True)
    sums = np.bincount(place, weights=values - values.mean())
    return float(np.sqrt(len(sums) / (len(sums) - 1) * (sums**2).sum()) / len(values))


def fit_network(
    parts: GraphParts, evidence: Evidence, grades: GradeTargets | None, settings: RetrainSettings, advance: Advance
) -> GraphParts:
    """Return `parts` with the network fine-tuned on the training conversations whose text was kept."""
    rows = np.flatnonzero((evidence.split == TRAIN) & evidence.has_text)
    targets = RewardTargets(
        evidence.inputs,
        evidence.text_row[rows],
        evidence.model[rows],
        evidence.reward[rows].astype(np.float32),
        evidence.weights(rows, settings).astype(np.float32),
    )
    return continue_network(parts, targets, grades, settings.continuing, settings.seed, advance)


def learn_network(
    parts: GraphParts, evidence: Evidence, grades: GradeTargets | None, settings: RetrainSettings, advance: Advance
) -> tuple[GraphParts, Choice]:
    """Fine-tune the network of `parts`, test it, and return the better one of the two with the choice."""
    fitted = fit_network(parts, evidence, grades, settings, advance)
    held = np.flatnonzero((evidence.split == CALIBRATE) & evidence.has_text)
    before, after = (answered_logits(candidate, evidence, held) for candidate in (parts, fitted))
    choice = choose_step("network", before, after, evidence.reward[held], evidence.conversation[held])
    return (fitted if choice.is_taken else parts), choice


def answered_logits(parts: GraphParts, evidence: Evidence, rows: Ints, model: Ints | None = None) -> Floats:
    """Return the logit of the model that answered, shape (len(rows),), for rows whose text was kept.

    Args:
        parts: Parts of the graph.
        evidence: Judged requests.
        rows: Rows of the evidence.
        model: Shape (len(rows),), columns of the graph; None: the columns of the evidence.
    """
    heads = run_heads(parts, evidence.inputs, evidence.text_row[rows]).mean(axis=1)
    return np.asarray(heads[np.arange(len(rows)), evidence.model[rows] if model is None else model], np.float64)


def learn_lengths(parts: GraphParts, champion: Champion, evidence: Evidence) -> tuple[Floats, Floats]:
    """Return (slope, offset) of each model's log length, each (m,), from all answers outside the test.

    A new model was believed to answer at the typical length, the mean over models. Its line starts from the mean log
    length over models instead, which is lower.
    """
    slope, offset = np.ones(parts.n_models), np.zeros(parts.n_models)
    tokens = np.maximum(champion.reference.completion_tokens.astype(np.float64), 1)
    typical_above_mean_log = float((np.log(tokens.mean(axis=1)) - np.log(tokens).mean(axis=1)).mean())
    for column in range(parts.n_models):
        rows = (evidence.length_model == column) & (evidence.length_split != TEST)
        if rows.sum() < _FEWEST_LENGTHS:
            continue
        believed = np.log(evidence.believed_tokens[rows])
        if column >= champion.parts.n_models:
            believed = believed - typical_above_mean_log
        slope[column], offset[column] = fit_length_line(believed, evidence.answer_tokens[rows], 0.0)
    return slope, offset


def learn_line(logits: Floats, reward: Floats, weight: Floats) -> tuple[float, float]:
    """Return (slope, offset) of the line that calibrates log odds to rewards, drawn towards (1, 0).

    There is one line for all models, because the calibrating conversations are few. The corrections of single models
    were fitted to many more.

    Args:
        logits: Shape (k,), log odds of the models that answered.
        reward, weight: Shape (k,), rewards and their weights.
    """
    middle = float(logits.mean())
    design = np.stack([np.ones_like(logits), logits - middle], axis=1)
    fitted = fit_logistic(
        design, logits, reward, weight, np.zeros(2), np.diag([_LINE_OFFSET_STD**-2, _LINE_SLOPE_STD**-2])
    )
    offset, slope = fitted.coefficients
    return float(1 + slope), float(offset - slope * middle)
