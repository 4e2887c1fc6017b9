"""Computes the recent shifts of the lanes that the gateway's watch starts from under the challenger.

They come from the latest judged answers, by the same learning as the gateway's watch (`router.lane_learning`). It
compares the answers with the predictions of the challenger that was judged, which did not learn from the latest of
them. The challenger that is put to use did. So what it has already moved of a lane is taken off the lane's shift: both
then believe the same of the lane.
"""

from dataclasses import dataclass

import numpy as np

from router.lane_correction import COMMON, DAY_S, LaneCorrection
from router.lane_learning import JudgedAnswer, LaneLearning, LearningTerms, Signal, read_signals
from router.log_odds import logit, sigmoid
from training.retrain.challenger import Learned
from training.retrain.champion import Champion
from training.retrain.evidence_table import Evidence, Floats, Ints
from training.retrain.lane_models import LaneModels
from training.retrain.learning import answered_logits, space_of
from training.telemetry.signals import RequestSignals

_DAYS = 7.0
"""Older answers have no effect on the watch any more."""
_MOST_ANSWERS = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class WatchedLogs:
    """The logs that the watch is repeated over.

    Args:
        evidence: All evidence, also about models that the challenger did not learn; their belief comes from price and
            family.
        signals: All feedback of the requests, in order of the requests.
        models: Models of the lanes in the evidence.
        column: Column of a model in the evidence -> its column in the challenger; -1: not learned.
    """

    evidence: Evidence
    signals: RequestSignals
    models: LaneModels
    column: Ints


def repeat_watch(champion: Champion, judged: Learned, used: Learned, logs: WatchedLogs) -> LaneCorrection:
    """Return the shifts of the lanes at the end of the logs, for the challenger that is put to use.

    Args:
        champion: Bundle that the log odds in the evidence come from.
        judged: Challenger that was judged, learned from the earlier conversations.
        used: Challenger that is put to use, learned from all conversations.
        logs: The logs.
    """
    evidence = logs.evidence
    since = evidence.last_at - _DAYS * DAY_S * 1e6
    rows = np.flatnonzero(evidence.asked_at >= since)[-_MOST_ANSWERS:]
    predicted = _predicted(champion, judged, logs, rows)
    learning = LaneLearning.begin(LearningTerms())
    for row, chance in zip(rows.tolist(), predicted.tolist(), strict=True):
        if np.isfinite(chance):
            lane, at_s = int(evidence.lane[row]), float(evidence.asked_at[row]) / 1e6
            signals = _signals_of(logs.signals, int(evidence.request[row]))
            learning.learn(
                JudgedAnswer(logs.models.lane_ids[lane], logs.models.vendor_models[lane], chance, at_s, signals)
            )
    moved = logit(_predicted(champion, used, logs, rows)) - logit(predicted)
    return _less(learning.correction, moved, logs, rows)


def _less(correction: LaneCorrection, moved: Floats, logs: WatchedLogs, rows: Ints) -> LaneCorrection:
    """Take off the shifts what a challenger moved: the mean over all lanes off the common one, the rest off each lane.

    Args:
        correction: Shifts.
        moved: Shape (len(rows),), difference of the log odds of the lane that answered; NaN: unknown.
        logs: The logs.
        rows: Rows of the evidence.
    """
    usable = np.flatnonzero(np.isfinite(moved))
    if not len(usable):
        return correction
    lane, moved = logs.evidence.lane[rows[usable]], moved[usable]
    age_s = (logs.evidence.last_at - logs.evidence.asked_at[rows[usable]]) / 1e6
    weight = 0.5 ** (age_s / correction.prior.half_life_s)
    common = float((weight * moved).sum() / weight.sum())
    for place, name in enumerate(correction.names):
        if name == COMMON:
            correction.mean[place] -= common
        elif name.startswith("lane:"):
            number = logs.models.lane_ids.index(name.removeprefix("lane:"))
            is_here = lane == number
            own = float((weight * moved)[is_here].sum() / weight[is_here].sum()) if is_here.any() else common
            correction.mean[place] -= own - common
    return correction


def _signals_of(signals: RequestSignals, request: int) -> tuple[Signal, ...]:
    first, last = np.searchsorted(signals.request, (request, request + 1))
    return read_signals(
        signals.metric_names[first:last].tolist(),
        signals.values[first:last].tolist(),
        signals.n_answers[first:last].astype(int).tolist(),
    )


def _predicted(champion: Champion, learned: Learned, logs: WatchedLogs, rows: Ints) -> Floats:
    """Return a challenger's P(good answer) of the lanes that answered, shape (len(rows),).

    It comes from the text, if that was kept, else from the champion's log odds by the challenger's projection.
    """
    evidence, model = logs.evidence, logs.column[logs.evidence.model[rows]]
    predicted = evidence.believed[rows].copy()
    by_text = np.flatnonzero((model >= 0) & evidence.has_text[rows])
    by_log = np.flatnonzero((model >= 0) & ~evidence.has_text[rows])
    if len(by_text):
        predicted[by_text] = sigmoid(answered_logits(learned.parts, evidence, rows[by_text], model[by_text]))
    if len(by_log):
        logits = space_of(champion, evidence).filled(np.asarray(evidence.logits[rows[by_log]], np.float64))
        predicted[by_log] = sigmoid(learned.projection.apply(logits)[np.arange(len(by_log)), model[by_log]])
    return predicted
