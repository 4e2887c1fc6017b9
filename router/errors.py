"""Errors of the decision.

RouterError
├── BundleError          a bundle on disk cannot be used            (operator acts)
├── PredictionError      the quality model failed on a request      (a defect; lanes are ranked without it)
├── PriceError           a price row or table is wrong              (operator acts)
├── RewardError          signals or a rule of the reward are wrong  (operator acts)
├── TextError            a prompt is not usable text                (caller acts)
├── ConstraintError      contradictory or malformed constraints     (caller acts)
└── NoEligibleLaneError  every lane was excluded, with the reasons  (caller acts)
"""

from collections.abc import Mapping, Sequence

NOT_NAMED = frozenset({"pin", "models"})
"""Reasons of lanes that are left out because the request names others."""


class RouterError(Exception):
    """Base of all errors of this package; it is never raised itself."""


class BundleError(RouterError):
    """A bundle is missing a file, has a wrong hash, or was made for another feature version."""


class PredictionError(RouterError):
    """The quality model could not judge a request."""


class PriceError(RouterError):
    """A price is negative, undated, unsourced or not a number."""


class RewardError(RouterError):
    """Signals of an answer's quality do not fit together, or a rule for one is malformed."""


class TextError(RouterError):
    """A prompt is empty, too long or not text."""


class ConstraintError(RouterError):
    """The caller's wishes contradict each other or are out of range.

    Args:
        message: Text that names the wrong value and says what to do.
        param: Name of the wrong request field, in dotted form (`route.quality`).
    """

    def __init__(self, message: str, param: str) -> None:
        super().__init__(message)
        self.param = param


class NoEligibleLaneError(RouterError):
    """No lane meets the constraints. If the request names lanes, the message lists these alone.

    Args:
        excluded: Lane id -> constraint that excluded it.
        needed: Names of the capabilities that the request cannot do without.
    """

    def __init__(self, excluded: Mapping[str, str], needed: Sequence[str] = ()) -> None:
        self.excluded = dict(excluded)
        named = {lane: why for lane, why in self.excluded.items() if why not in NOT_NAMED}
        shown = named or self.excluded
        reasons = ", ".join(f"{lane}: {why}" for lane, why in sorted(shown.items())[:12])
        more = len(shown) - 12
        tail = f" and {more} more" if more > 0 else ""
        needs = f"; it needs {', '.join(needed)}" if needed and "capability" in self.excluded.values() else ""
        super().__init__(
            f"no lane meets the constraints of this request ({reasons or 'no lanes are configured'}{tail}){needs}"
        )
