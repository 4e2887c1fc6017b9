"""The steps of a retraining between reading and writing, each with its checkpoint."""

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
from training.retrain.correction import Hearsay, LogitMap
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
    """What a retraining learned.

    Args:
        learned: The challenger's parts.
        choices: How each step fared.
        line: From the corrected log odds to those of the rewards, (slope, offset), as the calibrating conversations show it.
        is_network: Whether the network was fitted on, so that the challenger's beliefs are only known where text was kept.
    """

    learned: Learned
    choices: tuple[Choice, ...]
    line: tuple[float, float]
    is_network: bool

    def took(self, step: str) -> bool:
        """Tell whether a step earned its place."""
        return any(choice.step == step and choice.is_taken for choice in self.choices)


def learnable(evidence: Evidence, models: LaneModels, settings: RetrainSettings) -> Ints:
    """Return each model's column among those that can be learned, -1 for others, and -1 at the end for lanes of unknown model.

    These are all that the champion knows, and new ones with enough rewards.
    """
    n_known = len(models.known)
    counts = np.bincount(evidence.model[evidence.split == TRAIN], minlength=len(models.names))
    kept = [place for place in range(n_known, len(models.names)) if counts[place] >= settings.fewest_of_new]
    column = np.full(len(models.names) + 1, -1, np.intp)  # the last one for lanes of unknown model
    column[:n_known] = np.arange(n_known)
    column[kept] = n_known + np.arange(len(kept))
    return column


def keep_models(models: LaneModels, column: Ints) -> LaneModels:
    """Return the models that `learnable` gave a column."""
    n_known = len(models.known)
    kept = [place for place in range(n_known, len(models.names)) if column[place] >= 0]
    return replace(
        models,
        new=tuple(models.names[place] for place in kept),
        of_lane=column[models.of_lane],
        hearsay=tuple(models.hearsay[place - n_known] for place in kept),
    )


def check_enough(evidence: Evidence, logs: Any, settings: RetrainSettings) -> None:
    """Refuse logs that too little can be learned from.

    Raises:
        TelemetryError: Naming how many judged requests there are and how many are needed.
    """
    n_train = int((evidence.split == TRAIN).sum())
    if n_train < settings.fewest_rewards:
        raise TelemetryError(
            logs,
            f"{n_train} judged requests of {evidence.n_requests:,} can be learned from, {settings.fewest_rewards} are needed",
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
    """Correct, fit on, calibrate, from the training and calibrating conversations; every step is kept in the work folder."""
    found, corrected = _correction(champion, evidence, models.hearsay, settings, work)
    start = fold_logit_map(champion.parts, found)
    parts, fitted = _network(start, evidence, models, corpus, settings, work, advance)
    is_network = fitted is not None and fitted.is_taken
    projection = _projection(champion, evidence, parts, found) if is_network else found
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
    """Repeat on all conversations, those that judged included, the steps that earned their place; their calibration stands.

    What was judged learned from the earlier part of the logs, as nobody may learn from what judges him. To be used is what the same steps make of all
    of it: the latest conversations say most of what is coming.
    """
    whole = evidence.all_to_learn()

    def correct() -> Arrays:
        found = fit_correction(champion, whole, models.hearsay, settings)
        return _map_arrays(found if outcome.took("correction") else found.only_new(champion.parts.n_models))

    found = _map_of(work.keep("correction-of-all", correct))
    parts, projection = fold_logit_map(champion.parts, found), found
    if outcome.is_network:
        start = parts
        grades = None if corpus is None else grades_of(corpus, models.names, start)
        fused = work.keep("network-of-all", lambda: _fused_arrays(fit_network(start, whole, grades, settings, advance)))
        parts = _with_fused(start, fused)
        projection = _projection(champion, whole, parts, found)
    return _on_line(_with_lengths(champion, whole, models, parts, projection), outcome.line)


def _with_lengths(
    champion: Champion, evidence: Evidence, models: LaneModels, parts: GraphParts, projection: LogitMap
) -> Learned:
    lengths = learn_lengths(parts, champion, evidence)
    return Learned(fold_length_lines(parts, *lengths), models.names, projection, lengths)


def _correction(
    champion: Champion,
    evidence: Evidence,
    hearsay: Sequence[Hearsay | None],
    settings: RetrainSettings,
    work: WorkFolder,
) -> tuple[LogitMap, Choice]:
    def make() -> Arrays:
        found, choice = learn_correction(champion, evidence, hearsay, settings)
        return _map_arrays(found) | _choice_arrays(choice)

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
    """Return a corpus' grades of these models."""
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
    """Return (slope, offset) of the line from what was learned to the calibrating conversations' log odds; where they are too few, that of no change."""
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
    """Return what was learned with its log odds on a line (slope, offset)."""
    slope, offset = line
    n = len(learned.names)
    mapped = LogitMap(slope * np.eye(n), np.full(n, offset), np.zeros(n), np.zeros(n, np.intp))
    return replace(learned, parts=fold_logit_map(learned.parts, mapped), projection=learned.projection.then(mapped))


def _map_arrays(found: LogitMap) -> Arrays:
    return {field.name: np.asarray(getattr(found, field.name)) for field in fields(LogitMap)}


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
