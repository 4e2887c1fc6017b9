"""What the latest judged answers say of the lanes beyond what the challenger says: where the gateway's watch begins under it."""

import numpy as np

from router.lane_correction import DAY_S, Judged, LaneCorrection
from router.placement import sigmoid
from training.retrain.challenger import Learned
from training.retrain.champion import Champion
from training.retrain.evidence_table import Evidence, Floats, Ints
from training.retrain.lane_models import LaneModels
from training.retrain.learning import answered_logits, space_of

_DAYS = 7.0
"""Older answers have faded from any watch."""
_MOST_ANSWERS = 20_000


def repeat_watch(
    champion: Champion, learned: Learned, evidence: Evidence, models: LaneModels, column: Ints
) -> LaneCorrection:
    """Return the shifts that the gateway's watch would have found over the latest judged answers, had the challenger predicted them.

    Args:
        champion: What the evidence's log odds are of.
        learned: The challenger.
        evidence: All of it; also answers of models that are not learned, of which the bundle says what price and family say.
        models: Of the evidence, each lane's vendor model.
        column: Model of the evidence -> that of the challenger, -1: not learned.
    """
    since = evidence.last_at - _DAYS * DAY_S * 1e6
    rows = np.flatnonzero(evidence.asked_at >= since)[-_MOST_ANSWERS:]
    predicted = _predicted(champion, learned, evidence, rows, column)
    correction = LaneCorrection()
    for row, chance in zip(rows.tolist(), predicted.tolist(), strict=True):
        if np.isfinite(chance):
            lane = int(evidence.lane[row])
            reward, reward_std = float(evidence.reward[row]), float(evidence.reward_std[row])
            at_s = float(evidence.asked_at[row]) / 1e6
            correction.learn(
                Judged(models.lane_ids[lane], models.vendor_models[lane], chance, reward, reward_std, at_s)
            )
    return correction


def _predicted(champion: Champion, learned: Learned, evidence: Evidence, rows: Ints, column: Ints) -> Floats:
    """Return P(good answer) of the lanes that answered, shape (len(rows),): by text, else as the logged log odds follow from the champion's."""
    model = column[evidence.model[rows]]
    predicted = evidence.believed[rows].copy()
    by_text = np.flatnonzero((model >= 0) & evidence.has_text[rows])
    by_log = np.flatnonzero((model >= 0) & ~evidence.has_text[rows])
    if len(by_text):
        predicted[by_text] = sigmoid(answered_logits(learned.parts, evidence, rows[by_text], model[by_text]))
    if len(by_log):
        logits = space_of(champion, evidence).filled(np.asarray(evidence.logits[rows[by_log]], np.float64))
        predicted[by_log] = sigmoid(learned.projection.apply(logits)[np.arange(len(by_log)), model[by_log]])
    return predicted
