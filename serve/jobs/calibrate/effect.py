"""The effect of a calibration: lanes' expected quality and how often each would be chosen, before and after."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from router.bar import LaneReference
from router.bundle import Bundle
from router.lane import Lane
from router.lane_table import LaneTable
from router.reference_answers import ReferenceAnswers


@dataclass(frozen=True, slots=True)
class LaneOutlook:
    """Expected figures of one lane over the bundle's reference prompts.

    Args:
        quality: Mean P(good answer).
        logit_std: Standard deviation of the log odds of a good answer.
        completion_tokens: Mean length of an answer.
        cost_usd: Mean cost of a request.
        chosen_share: Share of the prompts on which the lane has the best value of all lanes.
    """

    quality: float
    logit_std: float
    completion_tokens: float
    cost_usd: float
    chosen_share: float


def lane_outlooks(
    lanes: Sequence[Lane], lane_ids: Sequence[str], bundle: Bundle, reference: ReferenceAnswers, worth_usd: float
) -> list[LaneOutlook]:
    """Return the outlook of each of `lane_ids` among `lanes`, if a good answer is worth `worth_usd`."""
    table = LaneTable.build(lanes, bundle.trained_names, bundle.catalogue)
    beliefs = LaneReference(table, reference)
    chosen = (worth_usd * beliefs.quality - beliefs.cost_usd).argmax(axis=1)
    return [
        LaneOutlook(
            float(beliefs.quality[:, row].mean()),
            float(table.ability_std[row]),
            float(beliefs.completion_tokens[:, row].mean()),
            float(beliefs.cost_usd[:, row].mean()),
            float(np.mean(chosen == row)),
        )
        for row in (table.index_of[lane_id] for lane_id in lane_ids)
    ]
