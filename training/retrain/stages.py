"""The steps of a retraining between reading and writing, each with its checkpoint."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from training.corpus import Corpus
from training.encoding import encode_prompts
from training.errors import TelemetryError
from training.export_onnx import GraphParts
from training.fused_weights import FusedWeights
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
        is_network: Whether the network was fitted on, so that the challenger's beliefs are only known where text was kept.
    """

    learned: Learned
    choices: tuple[Choice, ...]
    is_network: bool


def keep_enough(evidence: Evidence, models: LaneModels, settings: RetrainSettings) -> tuple[Evidence, LaneModels]:
    """Return the evidence of models that can be learned: all that the champion knows, and new ones with enough rewards.

    Raises:
        TelemetryError: Too few judged requests can be learned from.
    """
    n_known = len(models.known)
    counts = np.bincount(evidence.model[evidence.split == TRAIN], minlength=len(models.names))
    kept = [place for place in range(n_known, len(models.names)) if counts[place] >= settings.fewest_of_new]
    column = np.full(len(models.names) + 1, -1, np.intp)  # the last one for lanes of unknown model
    column[:n_known] = np.arange(n_known)
    column[kept] = n_known + np.arange(len(kept))
    new = tuple(models.names[place] for place in kept)
    return evidence.with_columns(column), LaneModels(
        models.known, new, column[models.of_lane], tuple(models.hearsay[place - n_known] for place in kept)
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
    """Correct, fit on, calibrate; every step is kept in the work folder."""
    found, corrected = _correction(champion, evidence, models.hearsay, settings, work)
    start = fold_logit_map(champion.parts, found)
    parts, fitted = _network(start, evidence, models, corpus, settings, work, advance)
    is_network = fitted is not None and fitted.is_taken
    projection = _projection(champion, evidence, parts, found) if is_network else found
    lengths = learn_lengths(parts, champion, evidence)
    parts = fold_length_lines(parts, *lengths)
    learned = Learned(parts, models.names, projection, lengths)
    learned = _calibrated(champion, learned, evidence, is_network, settings)
    return Outcome(learned, tuple(choice for choice in (corrected, fitted) if choice is not None), is_network)


def _correction(
    champion: Champion, evidence: Evidence, hearsay: Sequence[Hearsay | None], settings: RetrainSettings, work: WorkFolder
) -> tuple[LogitMap, Choice]:
    def make() -> Arrays:
        found, choice = learn_correction(champion, evidence, hearsay, settings)
        return {field.name: np.asarray(getattr(found, field.name)) for field in fields(LogitMap)} | _choice_arrays(choice)

    arrays = work.keep("correction", make)
    return LogitMap(*(arrays[field.name] for field in fields(LogitMap))), _choice_of("correction", arrays)


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
        return {field.name: getattr(parts.fused, field.name) for field in fields(FusedWeights)} | _choice_arrays(choice)

    arrays = work.keep("network", make)
    fused = FusedWeights(*(arrays[field.name] for field in fields(FusedWeights)))
    return replace(start, fused=fused), _choice_of("network", arrays)


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


def _calibrated(champion: Champion, learned: Learned, evidence: Evidence, is_network: bool, settings: RetrainSettings) -> Learned:
    """Return what was learned, its log odds on the line that the calibrating conversations show."""
    can_tell = evidence.has_text if is_network else np.ones(len(evidence), np.bool_)
    rows = np.flatnonzero((evidence.split == CALIBRATE) & can_tell)
    if len(rows) < _FEWEST_TO_CALIBRATE:
        return learned
    if is_network:
        answered = answered_logits(learned.parts, evidence, rows)
    else:
        space = space_of(champion, evidence)
        logits = learned.projection.apply(space.filled(np.asarray(evidence.logits[rows], np.float64)))
        answered = logits[np.arange(len(rows)), evidence.model[rows]]
    slope, offset = learn_line(answered, evidence.reward[rows], evidence.weights(rows, settings.largest_weight))
    n = len(learned.names)
    line = LogitMap(slope * np.eye(n), np.full(n, offset), np.zeros(n), np.zeros(n, np.intp))
    return replace(learned, parts=fold_logit_map(learned.parts, line), projection=learned.projection.then(line))


def _choice_arrays(choice: Choice) -> Arrays:
    values = (choice.is_taken, choice.n_rewards, choice.loss_before, choice.loss_after, choice.error)
    return {"choice": np.array(values, np.float64)}


def _choice_of(step: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Choice:
    is_taken, n_rewards, before, after, error = arrays["choice"].tolist()
    return Choice(step, bool(is_taken), int(n_rewards), before, after, error)
