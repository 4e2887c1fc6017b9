"""The learning steps of a retraining, between reading the logs and writing the bundle, each with its checkpoint."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from training.bundle.export_onnx import GraphParts
from training.corpus.graded_corpus import Corpus
from training.errors import TelemetryError
from training.network.encoding import encode_prompts
from training.network.fused_weights import FusedWeights
from training.retrain.challenger import Learned, fit_projection
from training.retrain.champion import Champion
from training.retrain.continuing import GradeTargets
from training.retrain.correction import LogitMap, NotedAbility
from training.retrain.evidence_table import CALIBRATE, TRAIN, Evidence
from training.retrain.folding import fold_length_lines, fold_logit_map
from training.retrain.fused_network import run_heads
from training.retrain.lane_models import LaneModels
from training.retrain.learning import (
    Choice,
    answered_logits,
    fit_correction,
    fit_network,
    learn_correction,
    learn_lengths,
    learn_line,
    learn_network,
    space_of,
)
from training.retrain.settings import RetrainSettings
from training.retrain.work_folder import Arrays, WorkFolder

Ints = npt.NDArray[np.intp]

_FEWEST_TO_CALIBRATE = 100
_PROJECTION_ROWS = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Result of the learning steps.

    Args:
        learned: Challenger.
        choices: Results of the tests of the steps.
        line: (slope, offset) of the line that calibrates the log odds, fitted to the calibrating conversations.
        is_network: Whether the network was fine-tuned. Then the challenger's beliefs are only known for requests whose
            text was kept.
    """

    learned: Learned
    choices: tuple[Choice, ...]
    line: tuple[float, float]
    is_network: bool

    def took(self, step: str) -> bool:
        """Tell whether a step earned its place."""
        return any(choice.step == step and choice.is_taken for choice in self.choices)


def learnable(evidence: Evidence, models: LaneModels, settings: RetrainSettings) -> Ints:
    """Return each model's column among the models that can be learned; -1: it cannot be learned.

    All models of the champion can be learned, and new ones with enough rewards. The array has one more entry than there
    are models, -1, so that column -1 of lanes with an unknown model maps to -1.
    """
    n_known = len(models.champion_models)
    counts = np.bincount(evidence.model[evidence.split == TRAIN], minlength=len(models.names))
    kept = [place for place in range(n_known, len(models.names)) if counts[place] >= settings.fewest_of_new]
    column = np.full(len(models.names) + 1, -1, np.intp)  # the last one is for lanes with an unknown model
    column[:n_known] = np.arange(n_known)
    column[kept] = n_known + np.arange(len(kept))
    return column


def keep_models(models: LaneModels, column: Ints) -> LaneModels:
    """Return only the models that have a column in `column`, which `learnable` returned."""
    n_known = len(models.champion_models)
    kept = [place for place in range(n_known, len(models.names)) if column[place] >= 0]
    return replace(
        models,
        new=tuple(models.names[place] for place in kept),
        of_lane=column[models.of_lane],
        noted_abilities=tuple(models.noted_abilities[place - n_known] for place in kept),
    )


def check_enough(evidence: Evidence, logs: Any, settings: RetrainSettings) -> None:
    """Refuse logs with too few judged requests to learn from.

    Raises:
        TelemetryError: There are fewer than `settings.fewest_rewards`; the message has both numbers.
    """
    n_train = int((evidence.split == TRAIN).sum())
    if n_train < settings.fewest_rewards:
        raise TelemetryError(
            logs,
            f"{n_train} judged requests of {evidence.n_requests:,} can be learned from, {settings.fewest_rewards} are "
            "needed",
            "gather feedback, export a longer time, or name the champion that decided them",
        )


def learn(
    champion: Champion,
    evidence: Evidence,
    models: LaneModels,
    corpus: Corpus | None,
    settings: RetrainSettings,
    work: WorkFolder,
    advance: Callable[[float], None],
) -> Outcome:
    """Correct the champion, fine-tune its network and calibrate, with the training and calibrating conversations.

    The work folder keeps the result of every step.
    """
    correction, corrected = _correction(champion, evidence, models.noted_abilities, settings, work)
    start = fold_logit_map(champion.parts, correction)
    parts, fitted = _network(start, evidence, models, corpus, settings, work, advance)
    is_network = fitted is not None and fitted.is_taken
    projection = _projection(champion, evidence, parts, correction) if is_network else correction
    learned = _with_lengths(champion, evidence, models, parts, projection)
    line = _calibrating_line(champion, learned, evidence, is_network, settings)
    choices = tuple(choice for choice in (corrected, fitted) if choice is not None)
    return Outcome(_on_line(learned, line), choices, line, is_network)


def learn_from_all(
    champion: Champion,
    evidence: Evidence,
    models: LaneModels,
    corpus: Corpus | None,
    settings: RetrainSettings,
    outcome: Outcome,
    work: WorkFolder,
    advance: Callable[[float], None],
) -> Learned:
    """Repeat the steps that earned their place on all conversations, including the test; the calibration stays.

    The judged challenger learned from the earlier part of the logs only, because a challenger must not learn from its
    test. The challenger to be used learns from all of it in the same steps, because the latest conversations say most
    about future ones.
    """
    whole = evidence.all_to_learn()

    def correct() -> Arrays:
        fitted = fit_correction(champion, whole, models.noted_abilities, settings)
        return _map_arrays(fitted if outcome.took("correction") else fitted.only_new(champion.parts.n_models))

    correction = _map_of(work.keep("correction-of-all", correct))
    parts, projection = fold_logit_map(champion.parts, correction), correction
    if outcome.is_network:
        start = parts
        grades = None if corpus is None else grades_of(corpus, models.names, start)
        fused = work.keep("network-of-all", lambda: _fused_arrays(fit_network(start, whole, grades, settings, advance)))
        parts = _with_fused(start, fused)
        projection = _projection(champion, whole, parts, correction)
    return _on_line(_with_lengths(champion, whole, models, parts, projection), outcome.line)


def _with_lengths(
    champion: Champion, evidence: Evidence, models: LaneModels, parts: GraphParts, projection: LogitMap
) -> Learned:
    lengths = learn_lengths(parts, champion, evidence)
    return Learned(fold_length_lines(parts, *lengths), models.names, projection, lengths)


def _correction(
    champion: Champion,
    evidence: Evidence,
    noted_abilities: Sequence[NotedAbility | None],
    settings: RetrainSettings,
    work: WorkFolder,
) -> tuple[LogitMap, Choice]:
    def make() -> Arrays:
        correction, choice = learn_correction(champion, evidence, noted_abilities, settings)
        return _map_arrays(correction) | _choice_arrays(choice)

    arrays = work.keep("correction", make)
    return _map_of(arrays), _choice_of("correction", arrays)


def _network(
    start: GraphParts,
    evidence: Evidence,
    models: LaneModels,
    corpus: Corpus | None,
    settings: RetrainSettings,
    work: WorkFolder,
    advance: Callable[[float], None],
) -> tuple[GraphParts, Choice | None]:
    if (evidence.has_text & (evidence.split == TRAIN)).sum() < settings.fewest_with_text:
        return start, None

    def make() -> Arrays:
        grades = None if corpus is None else grades_of(corpus, models.names, start)
        parts, choice = learn_network(start, evidence, grades, settings, advance)
        return _fused_arrays(parts) | _choice_arrays(choice)

    arrays = work.keep("network", make)
    return _with_fused(start, arrays), _choice_of("network", arrays)


def grades_of(corpus: Corpus, names: tuple[str, ...], parts: GraphParts) -> GradeTargets:
    """Return the grades of these models in a corpus."""
    inputs = parts.scaler.transform(encode_prompts(corpus.contexts(), parts.table)).astype(np.float16)
    scores = np.full((len(inputs), len(names)), np.nan, np.float32)
    place = {name: column for column, name in enumerate(corpus.trained_names)}
    for column, name in enumerate(names):
        if name in place:
            scores[:, column] = corpus.scores[:, place[name]]
    return GradeTargets(inputs, scores)


def _projection(champion: Champion, evidence: Evidence, parts: GraphParts, start: LogitMap) -> LogitMap:
    rows = np.flatnonzero(evidence.has_text & (evidence.split == TRAIN))[-_PROJECTION_ROWS:]
    before, after = (
        run_heads(some, evidence.inputs, evidence.text_row[rows]).mean(axis=1)[:, : some.n_models].astype(np.float64)
        for some in (champion.parts, parts)
    )
    return fit_projection(before, after, start)


def _calibrating_line(
    champion: Champion, learned: Learned, evidence: Evidence, is_network: bool, settings: RetrainSettings
) -> tuple[float, float]:
    """Return (slope, offset) of the line that calibrates the log odds to the calibrating conversations.

    If there are too few of them, the line changes nothing: (1, 0).
    """
    can_tell = evidence.has_text if is_network else np.ones(len(evidence), np.bool_)
    rows = np.flatnonzero((evidence.split == CALIBRATE) & can_tell)
    if len(rows) < _FEWEST_TO_CALIBRATE:
        return 1.0, 0.0
    if is_network:
        answered = answered_logits(learned.parts, evidence, rows)
    else:
        space = space_of(champion, evidence)
        logits = learned.projection.apply(space.filled(np.asarray(evidence.logits[rows], np.float64)))
        answered = logits[np.arange(len(rows)), evidence.model[rows]]
    return learn_line(answered, evidence.reward[rows], evidence.weights(rows, settings))


def _on_line(learned: Learned, line: tuple[float, float]) -> Learned:
    """Return the challenger with its log odds mapped by a line (slope, offset)."""
    slope, offset = line
    n = len(learned.names)
    mapped = LogitMap(slope * np.eye(n), np.full(n, offset), np.zeros(n), np.zeros(n, np.intp))
    return replace(learned, parts=fold_logit_map(learned.parts, mapped), projection=learned.projection.then(mapped))


def _map_arrays(logit_map: LogitMap) -> Arrays:
    return {field.name: np.asarray(getattr(logit_map, field.name)) for field in fields(LogitMap)}


def _map_of(arrays: Mapping[str, npt.NDArray[Any]]) -> LogitMap:
    return LogitMap(*(arrays[field.name] for field in fields(LogitMap)))


def _fused_arrays(parts: GraphParts) -> Arrays:
    return {field.name: getattr(parts.fused, field.name) for field in fields(FusedWeights)}


def _with_fused(parts: GraphParts, arrays: Mapping[str, npt.NDArray[Any]]) -> GraphParts:
    return replace(parts, fused=FusedWeights(*(arrays[field.name] for field in fields(FusedWeights))))


def _choice_arrays(choice: Choice) -> Arrays:
    values = (choice.is_taken, choice.n_rewards, choice.loss_before, choice.loss_after, choice.error)
    return {"choice": np.array(values, np.float64)}


def _choice_of(step: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Choice:
    is_taken, n_rewards, before, after, error = arrays["choice"].tolist()
    return Choice(step, bool(is_taken), int(n_rewards), before, after, error)
