"""The beliefs about catalogue models, laid out for the lanes of a table.

A request costs one product of a matrix and a vector. `router.catalogue_models` has the formulas.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from router.arrays import Float32s, Floats, Mask, Rows
from router.catalogue_models import (
    AGAINST,
    BASES,
    LEAST,
    MOST,
    N_BLOCKS,
    REASONING,
    SHRINKAGE,
    VISIBLE,
    CatalogueModels,
)
from router.lane import Capability, Lane
from router.quality_basis import QualityBasis
from router.trained_places import trained_name_at

TRANSFER = 0.7
"""About the correlation of models' abilities between kinds of work: so much of what graded answers to exam questions
show also holds for other work."""
_REWARDS_TRUSTED = 100.0
"""Judged answers in logs that count as much as the row of a catalogue model."""
HIGH_DEVIATIONS = 1.645
"""The 95% quantile of the normal distribution: high lengths are exceeded by one answer in twenty."""


class RowBeliefs(NamedTuple):
    """Beliefs about one request or several, by the rows of the lanes.

    Args:
        odds_against: Log odds of a bad answer, averaged over their uncertainty, and the standard deviation of the log
            odds before that, shape (2, ..., n_lanes).
        tokens: Expected tokens of the answer (reasoning included), and expected reasoning tokens, shape (2, ...,
            n_lanes).
    """

    odds_against: Float32s
    tokens: Float32s


@dataclass(frozen=True, slots=True, eq=False)
class LaneRows:
    """The rows of `n_lanes` lanes.

    Args:
        matrix: Stacked rows, shape (5 * n_lanes, d), as `CatalogueModels.stacked` returns them; shared with other
            tables that have the same models.
        least, most: Bounds of the products, shape (5 * n_lanes,).
        lengths: Weights of the medians of visible and reasoning tokens in the two expectations, shape (2, 2).
        high_factors: Ratios of the high to the expected number of visible and of reasoning tokens, shape (2,).
        reasoning_log_std: Standard deviation of the log of the reasoning tokens around their median.
        own_weight: 1 for lanes whose reference beliefs count for the prompt's reference share, else 0, shape
            (n_lanes,); None: no lane has reference beliefs.
        own_floor: Least share that the reference beliefs of a lane have in any work, 0..1, shape (n_lanes,): the graph
            learned its model from logs, which hold work of all kinds; None: no lane has one.
        offset: Amount that is added to a lane's log odds, shape (n_lanes,); None: nothing is.
        is_listed: Whether the lane's model is one of the catalogue models, shape (n_lanes,).
        basis: Basis of each lane's belief.
        n_evidence: Number of graded answers or published scores behind each lane's belief; 0: it is
            not counted.
    """

    matrix: Float32s
    least: Float32s
    most: Float32s
    lengths: Float32s
    high_factors: Floats
    reasoning_log_std: float
    own_weight: Float32s | None
    own_floor: Float32s | None
    offset: Float32s | None
    is_listed: Mask
    basis: tuple[QualityBasis, ...]
    n_evidence: tuple[int, ...]

    @classmethod
    def build(cls, lanes: Sequence[Lane], trained_index: Rows, models: CatalogueModels) -> "LaneRows":
        """Return the rows of lanes.

        Args:
            lanes: The lanes.
            trained_index: Place of each lane's model among the reference models, or -1, shape (n_lanes,).
            models: Catalogue models of the bundle.
        """
        placements = [_placement_shift(lane) if trained_index[row] < 0 else None for row, lane in enumerate(lanes)]
        sources = [
            models.source_of(
                column_name(lane),
                lane.trained_name if trained_index[row] >= 0 else None,
                _general(lane),
                None if lane.prior is None else (lane.prior.ability, lane.prior.ability_std),
                reasons=Capability.REASONING in lane.capabilities,
            )
            for row, lane in enumerate(lanes)
        ]
        least, most = (np.tile(np.array(bounds, np.float32)[:, None], len(lanes)) for bounds in (LEAST, MOST))
        for row, source in enumerate(sources):
            if source.place is None and not source.reasons:
                most[REASONING, row] = LEAST[REASONING]
        has_own = np.array(
            [trained_index[row] >= 0 or shift is not None for row, shift in enumerate(placements)], np.bool_
        )
        reference_names = tuple(models.abilities)
        rewards = np.array(
            [models.rewards.get(reference_names[place], 0) if place >= 0 else 0 for place in trained_index.tolist()]
            if models.rewards
            else np.zeros(len(lanes)),
            np.float32,
        )
        floor = rewards / (rewards + _REWARDS_TRUSTED)
        offset = np.array([TRANSFER * (shift or 0.0) for shift in placements], np.float32)
        log_std = models.log_std.astype(np.float64)
        mean = np.exp(log_std**2 / 2)
        basis: list[tuple[QualityBasis, int]] = []
        for row, (source, lane) in enumerate(zip(sources, lanes, strict=True)):
            if placements[row] is not None and lane.prior is not None and lane.prior.placement is not None:
                basis.append(("calibrated", lane.prior.placement.n_answers))
            elif source.place is not None:
                kind = BASES[int(models.basis[source.place])]
                counts = {"own_grades": models.n_grades, "published_scores": models.n_scores}.get(kind)
                basis.append((kind, 0 if counts is None else int(counts[source.place])))
            elif trained_index[row] >= 0:
                basis.append(("trained", 0))
            else:
                basis.append(("prior" if _general(lane) is None else "class", 0))
        return cls(
            matrix=models.stacked(sources),
            least=least.ravel(),
            most=most.ravel(),
            lengths=np.array([mean, mean * (0, 1)], np.float32),
            high_factors=np.exp(HIGH_DEVIATIONS * log_std) / mean,
            reasoning_log_std=float(log_std[1]),
            own_weight=has_own.astype(np.float32) if has_own.any() else None,
            own_floor=floor if floor.any() else None,
            offset=offset if offset.any() else None,
            is_listed=np.array([source.place is not None for source in sources], np.bool_),
            basis=tuple(kind for kind, _ in basis),
            n_evidence=tuple(count for _, count in basis),
        )

    def believe(self, demand: Float32s) -> RowBeliefs:
        """Return the beliefs by the rows alone. Lengths are not cut to any limit.

        The quality is averaged over its uncertainty: log odds / sqrt(1 + pi/8 std^2) (MacKay 1992, "The evidence
        framework applied to classification networks").

        Args:
            demand: Demands of the prompts, shape (..., d).
        """
        is_one = demand.ndim == 1
        products = self.matrix.dot(demand) if is_one else demand @ self.matrix.T  # (..., 5 * n_lanes)
        np.maximum(products, self.least, out=products)
        np.minimum(products, self.most, out=products)
        if is_one:
            blocks = products.reshape(N_BLOCKS, len(self.basis))
        else:
            blocks = np.moveaxis(products.reshape(*demand.shape[:-1], N_BLOCKS, len(self.basis)), -2, 0)
        against, shrinkage = blocks[AGAINST], blocks[SHRINKAGE]  # (..., n_lanes)
        if self.offset is not None:
            against -= self.offset
        shrinkage *= shrinkage  # in place, because a thousand square roots take a tenth of the time of `hypot`
        shrinkage += 1
        against /= np.sqrt(shrinkage, out=shrinkage)
        medians = np.exp(blocks[VISIBLE:SHRINKAGE])
        tokens = self.lengths.dot(medians) if is_one else np.tensordot(self.lengths, medians, 1)
        return RowBeliefs(blocks[:VISIBLE], tokens)


def column_name(lane: Lane) -> str:
    """Return the name under which a lane's model is looked up among the catalogue models."""
    return lane.vendor_model if lane.effort is None else trained_name_at(lane.vendor_model, lane.effort)


def _general(lane: Lane) -> tuple[float, float] | None:
    prior = lane.prior
    if prior is None or prior.general is None or prior.general_std is None:
        return None
    return prior.general, prior.general_std


def _placement_shift(lane: Lane) -> float | None:
    """Return how far its graded answers moved the lane's model from its prior, in log odds; None: it has none."""
    return None if lane.prior is None or lane.prior.placement is None else lane.prior.placement.shift
