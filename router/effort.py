"""Efforts of reasoning: the lanes that a model has because it reasons at several efforts, and which fit a request."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np

from router.arrays import Ints, Mask
from router.lane import EFFORTS, Capability, Effort, Lane
from router.trained_places import TrainedPlaces, trained_name_at

OTHER_EFFORT: Final = "other"
"""Effort of a request that says how much to reason in another way than by one of these words, such as in tokens."""


def named_effort(word: str | None) -> str | None:
    """Return the effort that a field of a request states; None: the field is absent or null."""
    return None if word is None else word if word in EFFORTS else OTHER_EFFORT


def name_at(name: str, effort: str | None) -> str:
    """Return a lane's name, or a model's, at this effort, as callers write it: `openai/gpt-5.4:high`."""
    return name if effort is None else f"{name}:{effort}"


def split_effort(name: str) -> tuple[str, str | None]:
    """Return a name without the effort at its end, and the effort; None: the name has none."""
    stem, colon, effort = name.rpartition(":")
    return (stem, effort) if colon and effort in EFFORTS else (name, None)


def effort_lanes(lane: Lane, efforts: Collection[Effort], trained_names: Collection[str]) -> tuple[Lane, ...]:
    """Return the lanes that a model has at this provider in addition to `lane`: one for each effort, the least first.

    An effort has a lane if the provider takes it and a bundle knows the model at it. So a bundle that knows no efforts
    adds no lane.

    Args:
        lane: The lane at the provider's default effort.
        efforts: Efforts that the model takes at this provider.
        trained_names: Names of the models that a loaded bundle knows.
    """
    at_effort = sorted(name for name in trained_names if "@" in name)
    if not (efforts and at_effort):
        return ()
    place_of = TrainedPlaces(at_effort)
    lanes = []
    for effort in EFFORTS:
        if effort not in efforts:
            continue
        graded_as = None if lane.trained_name is None else trained_name_at(lane.trained_name, effort)
        named = replace(lane, lane_id=name_at(lane.lane_id, effort), effort=effort, trained_name=graded_as)
        place = place_of(named)
        if place >= 0:
            lanes.append(replace(named, trained_name=at_effort[place]))
    return tuple(lanes)


@dataclass(frozen=True, slots=True, eq=False)
class EffortColumns:
    """The efforts of a table's lanes; every array has shape (n_lanes,).

    Args:
        sets_effort: Whether the lane sets an effort; the others leave it to the provider.
        is_unknown: Whether the lane sets an effort at which the bundle does not know its model. None: there is none.
        lost: Capabilities that a lane's model lacks while it reasons at the effort that the lane sets.
        at: Effort -> whether the bundle knows the lane's model at exactly this effort.
        unfit_for: Effort that a request states -> whether the lane must not answer it.
        siblings: Row of a lane that leaves the effort to the provider -> rows of the same model with an effort.
    """

    sets_effort: Mask
    is_unknown: Mask | None
    lost: Ints
    at: Mapping[str, Mask]
    unfit_for: Mapping[str, Mask]
    siblings: Mapping[int, tuple[int, ...]]

    @classmethod
    def of(cls, lanes: Sequence[Lane], trained_names: Sequence[str]) -> "EffortColumns | None":
        """Return the columns; None: no lane sets an effort."""
        sets_effort = np.array([lane.effort is not None for lane in lanes], np.bool_)
        if not sets_effort.any():
            return None
        place_of = TrainedPlaces(trained_names)
        is_unknown = np.array([lane.effort is not None and place_of(lane) < 0 for lane in lanes], np.bool_)
        at: dict[str, Mask] = {}
        for effort in EFFORTS:
            at[effort] = np.array([lane.effort == effort for lane in lanes], np.bool_) & ~is_unknown
        row_of = {lane.lane_id: row for row, lane in enumerate(lanes)}
        siblings: dict[int, tuple[int, ...]] = {}
        for row, lane in enumerate(lanes):
            if lane.effort is not None and (base := row_of.get(lane.base_id)) is not None:
                siblings[base] = (*siblings.get(base, ()), row)
        unfit_for = {OTHER_EFFORT: sets_effort}
        for stated, is_at in at.items():
            fits = is_at | ~sets_effort
            # Where the bundle knows the effort, it believes in the lane that has it, and not in the provider's default.
            fits[[base for base, rows in siblings.items() if is_at[list(rows)].any()]] = False
            unfit_for[stated] = ~fits
        return cls(
            sets_effort=sets_effort,
            is_unknown=is_unknown if is_unknown.any() else None,
            lost=np.array([int(lane.lost_by_effort) for lane in lanes], np.int64),
            at=MappingProxyType(at),
            unfit_for=MappingProxyType(unfit_for),
            siblings=MappingProxyType(siblings),
        )

    def with_siblings(self, rows: Sequence[int]) -> tuple[int, ...]:
        """Return these rows, and after each the rows of the same lane at other efforts."""
        return tuple(dict.fromkeys(each for row in rows for each in (row, *self.siblings.get(row, ()))))

    def unfit(
        self, stated: str | None, required: Capability, allowed: frozenset[str] | None, *, is_pinned: bool = False
    ) -> Mask | None:
        """Return which lanes a request must not be sent to because of their effort; None: it may be sent to all.

        Args:
            stated: Effort that the request states itself; None: it says nothing about reasoning.
            required: Capabilities that the request needs.
            allowed: Efforts that may be set for the request; None: all. It does not matter if the request states one.
            is_pinned: Whether the caller named the lane, so that it does not matter what the bundle knows of it.
        """
        if stated is not None:
            return self.unfit_for.get(stated, self.sets_effort)
        unfit = None if is_pinned else self.is_unknown
        if allowed is not None:
            fits = ~self.sets_effort
            for effort in allowed:
                fits = fits | self.at[effort]
            unfit = ~fits
        lost = self.lost & int(required)
        if np.count_nonzero(lost):
            unfit = lost != 0 if unfit is None else unfit | (lost != 0)
        return unfit
