"""The recent shifts of lanes that a retraining found. The watch starts from them under the new bundle.

A new bundle has learned from weeks of logs, of which the last hours are a small part. If a lane became worse yesterday,
the bundle still expects too much of it. What was learned online before is of no use, because it was about another
bundle's predictions. So the retraining repeats the watch over its latest judged answers, against its own predictions.
`training.retrain` writes the file into the bundle; `serve.watch` reads it.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from router.errors import BundleError
from router.lane_correction import LaneCorrection, ShiftPrior

RECENT_SHIFTS_FILE: Final = "recent_shifts.json"
_DIGITS: Final = 9
_REMEDY = "retrain again, or get a whole copy"


@dataclass(frozen=True, slots=True)
class RecentShifts:
    """The shifts of lanes under one bundle, at the end of the logs that it was trained on.

    Args:
        bundle_version: Version of the only bundle that they can be used with.
        correction: Shifts by the answers of all accounts together; they fade from their own time on.
    """

    bundle_version: str
    correction: LaneCorrection

    def of(self, prior: ShiftPrior) -> LaneCorrection:
        """Return a copy that continues with another prior."""
        return LaneCorrection.from_json(self.correction.to_json(), prior)

    def to_bytes(self) -> bytes:
        """Return the file's content: JSON. Equal shifts give equal bytes."""
        correction = self.correction
        content = correction.to_json() | {
            "bundle_version": self.bundle_version,
            "mean": correction.mean.round(_DIGITS).tolist(),
            "covariance": correction.covariance.round(_DIGITS).tolist(),
        }
        return json.dumps(content, sort_keys=True).encode() + b"\n"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            BundleError: The file cannot be read, or is not of this form.
        """
        try:
            stored = json.loads(path.read_bytes())
            return cls(str(stored["bundle_version"]), LaneCorrection.from_json(stored, ShiftPrior()))
        except OSError as problem:
            raise BundleError(f"{path}: cannot be read ({problem.strerror}): {_REMEDY}") from None
        except (KeyError, TypeError, ValueError) as problem:
            raise BundleError(f"{path}: holds no shifts of lanes ({problem!r}): {_REMEDY}") from None
