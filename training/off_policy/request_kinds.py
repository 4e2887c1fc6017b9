"""Tells the kind of a request from its structural features, so that the gate can guard each kind separately.

The features are logged even if the text is not.
"""

import numpy as np
import numpy.typing as npt

from router.features import FEATURE_NAMES, FEATURES_VERSION
from training.telemetry.logged_requests import Floats, LoggedRequests

UNKNOWN_KIND = "unknown"
LONG_CHARACTERS = 4_000


def kinds_of(logs: LoggedRequests) -> npt.NDArray[np.str_]:
    """Return the kind of each request, shape (n,).

    It is the first of `code`, `maths`, `conversation`, `long` that fits, else `short`. It is `unknown` if the features
    were not kept or have another layout.
    """
    n = len(logs)
    if logs.features_version != FEATURES_VERSION or logs.features.shape[1] != len(FEATURE_NAMES):
        return np.full(n, UNKNOWN_KIND)

    def count(name: str) -> Floats:
        return np.asarray(np.expm1(logs.features[:, FEATURE_NAMES.index(f"log_{name}")].astype(np.float64)))

    is_code = (count("backticks") >= 3) | (
        count("definitions") + count("returns") + count("assertions") + count("comparisons") >= 2
    )
    is_maths = (count("backslashes") + count("dollars") >= 4) | (count("equals") + count("carets") >= 3)
    kinds = np.select(
        [is_code, is_maths, count("turns") >= 1, count("characters") > LONG_CHARACTERS],
        ["code", "maths", "conversation", "long"],
        "short",
    )
    return np.where(np.isfinite(logs.features).all(axis=1), kinds, UNKNOWN_KIND)
