"""Moves the beliefs about catalogue models by judgements and lengths of their answers.

The row of a catalogue model is linear in what a prompt demands, and one of the demands is 1 for every prompt
(`router.catalogue_models`). Its entry is the offset of the model's log odds. The offset is moved by the most probable
shift of the logged predictions:

    reward ~ sigmoid(logit(predicted) + shift),    shift ~ N(0, `PRIOR_STD`^2)

Lengths need no judgement: every answer says its own. The offsets of visible and reasoning tokens are moved by the log
of the mean ratio of actual to predicted tokens, drawn to 0.

Only answers that the bundle in use decided count: its own predictions are in the log, so what an earlier retraining has
moved is not counted again.
"""

from dataclasses import dataclass, replace

import numpy as np

from router.catalogue_models import CatalogueModels
from router.log_odds import logit
from training.retrain.champion import Champion
from training.retrain.correction import fit_logistic
from training.retrain.evidence_table import Evidence
from training.retrain.lane_models import LaneModels
from training.retrain.settings import RetrainSettings

CONSTANT_DEMAND = "one"
"""Name of the demand that is 1 for every prompt."""
PRIOR_STD = 0.5
"""Standard deviation of the shift of a row before any judgement, log odds: about the uncertainty of a row of published
scores. An assumption."""
FEWEST_REWARDS = 5
FEWEST_LENGTHS = 20
"""Answers with which a row's lengths are moved; they are drawn to no move by the weight of as many."""
_LARGEST_RATIO = 20.0
_LEAST_CHANCE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class MovedRows:
    """Beliefs about catalogue models after a retraining.

    Args:
        models: Catalogue models with their moved rows; None: the bundle has none.
        shifts: Name of each model that was moved -> shift of its log odds.
        lengths: Name of each model whose lengths were moved -> shift of the logs of its tokens.
    """

    models: CatalogueModels | None
    shifts: dict[str, float]
    lengths: dict[str, float]


def move_rows(
    champion: Champion, evidence: Evidence, lanes: LaneModels, settings: RetrainSettings, *, has_lengths: bool
) -> MovedRows:
    """Return the catalogue models of the bundle in use, moved by the judgements in the logs.

    A model that the graph predicts by itself is left out: the correction of its log odds moves it.

    Args:
        champion: Bundle in use.
        evidence: All evidence, also about models that the challenger did not learn.
        lanes: Models of the evidence's columns.
        settings: Settings of the retraining.
        has_lengths: Whether the logged lengths of the evidence are those of the bundle in use.
    """
    models, names = champion.bundle.catalogue, champion.bundle.demand_names
    if models is None or CONSTANT_DEMAND not in names:
        return MovedRows(models, {}, {})
    constant, shifts, lengths = names.index(CONSTANT_DEMAND), {}, {}
    quality, visible, reasoning = models.quality.copy(), models.visible.copy(), models.reasoning.copy()
    is_usable = (evidence.router_version == champion.bundle.version) & np.isfinite(evidence.believed)
    for column in range(len(lanes.champion_models), len(lanes.names)):
        place = models.find(lanes.names[column])
        if place is None:
            continue
        longer = _log_ratio(evidence, column)
        if longer is not None and has_lengths:
            visible[place, constant] += np.float32(longer)
            reasoning[place, constant] += np.float32(longer)
            lengths[models.names[place]] = round(longer, 4)
        rows = np.flatnonzero(is_usable & (evidence.model == column))
        if len(rows) < FEWEST_REWARDS:
            continue
        predicted = logit(evidence.believed[rows].clip(_LEAST_CHANCE, 1 - _LEAST_CHANCE))
        fitted = fit_logistic(
            np.ones((len(rows), 1)),
            np.asarray(predicted, np.float64),
            evidence.reward[rows],
            evidence.weights(rows, settings),
            np.zeros(1),
            np.eye(1) / PRIOR_STD**2,
        )
        shift = float(fitted.coefficients[0])
        quality[place, constant] += np.float32(shift)
        shifts[models.names[place]] = round(shift, 4)
    return MovedRows(replace(models, quality=quality, visible=visible, reasoning=reasoning), shifts, lengths)


def _log_ratio(evidence: Evidence, column: int) -> float | None:
    """Return the log of the mean ratio of actual to logged expected tokens, drawn to 0; None: too few answers."""
    rows = (evidence.length_model == column) & evidence.length_is_logged
    n = int(rows.sum())
    if n < FEWEST_LENGTHS:
        return None
    ratio = np.minimum(evidence.answer_tokens[rows] / evidence.believed_tokens[rows], _LARGEST_RATIO)
    return float(np.log(max(ratio.mean(), 1 / _LARGEST_RATIO))) * n / (n + FEWEST_LENGTHS)
