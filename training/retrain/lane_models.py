"""Finds the model of each lane: one that the champion was trained on, or a new one that only the logs have."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from router.trained_places import trained_name_at
from training.retrain.correction import NotedAbility
from training.telemetry.folder import TelemetryExport, files_of, find_exports
from training.telemetry.lanes import read_lane_book, vendor_models

Ints = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class LaneModels:
    """The models of `l` lanes.

    Args:
        lane_ids, vendor_models: Length l, ids and vendor's model names of the lanes; a lane without an attempt that
            names the model has its own id as the name.
        champion_models: Names of the champion's models.
        new: Names of models that the champion was not trained on, sorted.
        of_lane: Shape (l,), column in `champion_models + new`; -1: the log does not say.
        noted_abilities: Ability of each new model as the gateway believed it; None: the log does not say.
    """

    lane_ids: tuple[str, ...]
    vendor_models: tuple[str, ...]
    champion_models: tuple[str, ...]
    new: tuple[str, ...]
    of_lane: Ints
    noted_abilities: tuple[NotedAbility | None, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All models, in the order of the columns."""
        return self.champion_models + self.new


def find_lane_models(
    folder: Path, lane_ids: Sequence[str], trained_names: Sequence[str | None], champion_models: Sequence[str]
) -> LaneModels:
    """Return the models of an export's lanes.

    A lane's model is found by its trained name, if that is among the champion's models. Else it is found by the
    vendor's name, which is the name that an earlier retraining learned it under. A lane that sets an effort has a model
    of its own, `vendor/model@effort`. A name that is not among the champion's models is a new model.
    """
    exports = find_exports(folder)
    vendor = vendor_models(files_of(exports, "attempts"))
    place = {name: column for column, name in enumerate(champion_models)}
    efforts = {lane_id: lane.effort for lane_id, lane in read_lane_book(files_of(exports, "lanes")).latest.items()}
    names = []
    for lane_id, trained in zip(lane_ids, trained_names, strict=True):
        names.append(trained if trained in place else _name_at(vendor.get(lane_id), efforts.get(lane_id)))
    new = tuple(sorted({name for name in names if name is not None and name not in place}))
    place |= {name: len(champion_models) + column for column, name in enumerate(new)}
    of_lane = np.array([-1 if name is None else place[name] for name in names], np.intp)
    noted = _noted_abilities(exports)
    vendors = tuple(vendor.get(lane_id, lane_id) for lane_id in lane_ids)
    abilities = tuple(noted.get(name) for name in new)
    return LaneModels(tuple(lane_ids), vendors, tuple(champion_models), new, of_lane, abilities)


def _noted_abilities(exports: Sequence[TelemetryExport]) -> dict[str, NotedAbility]:
    """Return name of a model -> (ability, standard deviation), as the gateway noted them last."""
    noted = [
        (
            lane["noted_at"],
            str(_name_at(lane["vendor_model"], lane.get("effort"))),
            float(lane["ability"]),
            float(lane["ability_std"]),
        )
        for export in exports
        for path in export.lanes
        for lane in pq.read_table(path, partitioning=None).to_pylist()
        if lane["ability"] is not None and lane["ability_std"]
    ]
    return {name: (ability, std) for _, name, ability, std in sorted(noted)}


def _name_at(vendor_model: str | None, effort: str | None) -> str | None:
    return vendor_model if vendor_model is None or effort is None else trained_name_at(vendor_model, effort)
