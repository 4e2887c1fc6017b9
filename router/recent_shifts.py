"""What a retraining saw of the lanes lately beyond what its bundle says: there the watch begins under that bundle, instead of from nothing.

A new bundle has learned from weeks of logs, of which the last hours are a small part. Where a lane became worse yesterday, the bundle is still too sure of it, and what
was learned online before it came was about another bundle's predictions. So the retraining repeats the watch over its latest judged answers, against its own predictions.
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
_MEND = "retrain again, or get a whole copy"


@dataclass(frozen=True, slots=True)
class RecentShifts:
    """The shifts of lanes under one bundle, at the end of the logs that it was made of.

    Args:
        bundle_version: Of the bundle; of no use to another.
        correction: All accounts' answers together; it fades from its own moment on, like any other.
    """

    bundle_version: str
    correction: LaneCorrection

    def of(self, prior: ShiftPrior) -> LaneCorrection:
        """Return a copy that goes on by a prior of one's own."""
        return LaneCorrection.from_json(self.correction.to_json(), prior)

    def to_bytes(self) -> bytes:
        """Return the file's content: JSON. Equal shifts give equal bytes."""
        found = self.correction
        content = found.to_json() | {
            "bundle_version": self.bundle_version,
            "mean": found.mean.round(_DIGITS).tolist(),
            "covariance": found.covariance.round(_DIGITS).tolist(),
        }
        return json.dumps(content, sort_keys=True).encode() + b"\n"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            BundleError: It cannot be read, or is not of this form.
        """
        try:
            stored = json.loads(path.read_bytes())
            return cls(str(stored["bundle_version"]), LaneCorrection.from_json(stored, ShiftPrior()))
        except OSError as problem:
            raise BundleError(f"{path}: cannot be read ({problem.strerror}): {_MEND}") from None
        except (KeyError, TypeError, ValueError) as problem:
            raise BundleError(f"{path}: holds no shifts of lanes ({problem!r}): {_MEND}") from None
