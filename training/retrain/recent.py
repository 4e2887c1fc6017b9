"""Computes the recent shifts of the lanes that the gateway's watch starts from under the challenger.

They come from the latest judged answers, compared with the challenger's predictions.
"""

import numpy as np

from router.lane_correction import DAY_S, Judged, LaneCorrection
from router.log_odds import sigmoid
from training.retrain.challenger import Learned
from training.retrain.champion import Champion
from training.retrain.evidence_table import Evidence, Floats, Ints
from training.retrain.lane_models import LaneModels
from training.retrain.learning import answered_logits, space_of

_DAYS = 7.0
"""Older answers have no effect on the watch any more."""
_MOST_ANSWERS = 20_000


def repeat_watch(
    champion: Champion, learned: Learned, evidence: Evidence, models: LaneModels, column: Ints
) -> LaneCorrection:
    """Return the shifts that the gateway's watch would have learned if the challenger had predicted the latest answers.

    Args:
        champion: Bundle that the log odds in the evidence come from.
        learned: Challenger.
        evidence: All evidence, also about models that the challenger did not learn; their belief comes from price and
            family.
        models: Models of the lanes in the evidence.
        column: Column of a model in the evidence -> its column in the challenger; -1: not learned.
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
    """Return the challenger's P(good answer) of the lanes that answered, shape (len(rows),).

    It comes from the text, if that was kept, else from the champion's log odds by the challenger's projection.
    """
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
