"""Which model answers on each lane: one that the champion predicts, or a new one that only the logs know."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from training.retrain.correction import Hearsay
from training.telemetry.folder import TelemetryExport, files_of, find_exports
from training.telemetry.lanes import vendor_models

Ints = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class LaneModels:
    """The models of `l` lanes.

    Args:
        lane_ids, vendor_models: Shape (l,), of the lanes; a vendor's model that no attempt named is the lane's own id.
        known: Names of the champion's models.
        new: Names of models that it does not know, sorted.
        of_lane: Shape (l,), place in `known + new`; -1: the log does not say.
        hearsay: Of each new model, what the gateway believed of its ability; None: the log does not say.
    """

    lane_ids: tuple[str, ...]
    vendor_models: tuple[str, ...]
    known: tuple[str, ...]
    new: tuple[str, ...]
    of_lane: Ints
    hearsay: tuple[Hearsay | None, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All models, in the order of the columns."""
        return self.known + self.new


def find_lane_models(
    folder: Path, lane_ids: Sequence[str], trained_names: Sequence[str | None], known: Sequence[str]
) -> LaneModels:
    """Return the models of an export's lanes.

    A lane's trained name decides where the champion knows it; else the vendor's name of the model, under which an earlier retraining may have
    learned it. A vendor's name that the champion does not know is a new model.
    """
    exports = find_exports(folder)
    vendor = vendor_models(files_of(exports, "attempts"))
    place = {name: column for column, name in enumerate(known)}
    names = []
    for lane_id, trained in zip(lane_ids, trained_names, strict=True):
        names.append(trained if trained in place else vendor.get(lane_id))
    new = tuple(sorted({name for name in names if name is not None and name not in place}))
    place |= {name: len(known) + column for column, name in enumerate(new)}
    of_lane = np.array([-1 if name is None else place[name] for name in names], np.intp)
    noted = _noted_abilities(exports)
    vendors = tuple(vendor.get(lane_id, lane_id) for lane_id in lane_ids)
    return LaneModels(tuple(lane_ids), vendors, tuple(known), new, of_lane, tuple(noted.get(name) for name in new))


def _noted_abilities(exports: Sequence[TelemetryExport]) -> dict[str, Hearsay]:
    """Return the vendor's name of a model -> its ability and deviation, as the gateway last noted them."""
    noted = [
        (lane["noted_at"], str(lane["vendor_model"]), float(lane["ability"]), float(lane["ability_std"]))
        for export in exports
        for path in export.lanes
        for lane in pq.read_table(
            path, columns=["vendor_model", "ability", "ability_std", "noted_at"], partitioning=None
        ).to_pylist()
        if lane["ability"] is not None and lane["ability_std"]
    ]
    return {name: (ability, std) for _, name, ability, std in sorted(noted)}
