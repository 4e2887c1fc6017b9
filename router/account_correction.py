"""Corrects a bundle for one account: shifts each lane's log odds of a good answer, for that account's prompts.

    P(good) = sigmoid(logit(believed) + own . (1, components of the prompt))

The components are the first principal directions of the trained models' logits over the bundle's reference prompts, as
in `router.placement`: how hard a prompt is, and for which models. `own` are a lane's coefficients in the account: the
sum of a part that all its lanes share and a part of the lane. Both are drawn towards 0, so that an account with few
judged answers is served as the bundle says.

`training.account_correction` fits the coefficients and writes the file; `serve` reads it and applies it to that account
alone.
"""

import hashlib
import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from router.arrays import Float32s, Floats
from router.errors import BundleError
from router.lane_table import LaneTable
from router.log_odds import LEAST_CHANCE, logit
from router.reference_answers import ReferenceAnswers

ACCOUNT_CORRECTIONS_FILE: Final = "account_corrections.npz"
N_COMPONENTS: Final = 4
MAX_SHIFT: Final = 3.0
"""Largest shift of log odds: an account's prompts may be unlike those that the correction was fitted to."""
_FARTHEST: Final = 3.0
"""Larger components count as this, in standard deviations over the reference prompts."""
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True, eq=False)
class PromptSpace:
    """The space of prompts, by the expected quality of the `m` trained models' answers to them.

    Args:
        centre: Mean logits of the models over the reference prompts, shape (m,).
        directions: Principal directions, shape (m, k); components = (logits - centre) @ directions, each of variance 1
            over the reference prompts.
    """

    centre: Floats
    directions: Floats

    @classmethod
    def of(cls, reference: ReferenceAnswers) -> Self:
        """Return the space of a bundle's reference prompts."""
        return cls.of_beliefs(reference.quality)

    @classmethod
    def of_beliefs(cls, quality: Float32s) -> Self:
        """Return the space that prompts span, from the models' P(good answer), shape (n, m)."""
        logits = logit(quality)
        centre = logits.mean(axis=0)
        variances, axes = np.linalg.eigh(
            np.cov(logits - centre, rowvar=False, ddof=0).reshape(len(centre), -1)
        )  # ascending
        k = min(N_COMPONENTS, len(centre))
        largest = axes[:, ::-1][:, :k]
        signs = np.where(largest.sum(axis=0) < 0, -1.0, 1.0)  # the same on every machine
        return cls(centre, largest * signs / np.sqrt(np.maximum(variances[::-1][:k], 1e-9)))

    def design(self, quality: Float32s) -> Floats:
        """Return (1, components) of prompts, shape (..., k + 1).

        Args:
            quality: P(good answer) of the trained models, shape (..., m).
        """
        components = ((logit(quality) - self.centre) @ self.directions).clip(-_FARTHEST, _FARTHEST)
        return np.concatenate([np.ones((*components.shape[:-1], 1)), components], axis=-1)

    def shifts(self, quality: Float32s, coefficients: Floats) -> Floats:
        """Return the shifts of log odds of prompts, shape (n, n_lanes).

        Args:
            quality: P(good answer) of the trained models, shape (n, m).
            coefficients: Coefficients of the lanes in one account, shape (n_lanes, k + 1).
        """
        return np.asarray((self.design(quality) @ coefficients.T).clip(-MAX_SHIFT, MAX_SHIFT), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class AccountCorrection:
    """One account's coefficients.

    Args:
        shared: Coefficients that all its lanes share, also those never judged, shape (k + 1,).
        own: Lane id, or name of a trained model -> coefficients that are added to `shared`, shape (k + 1,).
        n_answers: Number of judged answers that the correction was fitted to.
    """

    shared: Floats
    own: Mapping[str, Floats]
    n_answers: int

    def of_lanes(self, table: LaneTable) -> Floats:
        """Return the coefficients of each lane, shape (n_lanes, k + 1)."""
        return self.of_names([(lane.lane_id, lane.trained_name) for lane in table.lanes])

    def of_names(self, lanes: Sequence[tuple[str, str | None]]) -> Floats:
        """Return the coefficients of lanes, shape (n_lanes, k + 1).

        Args:
            lanes: Id of each lane, and the name of its trained model; None: its model was not trained on.
        """
        nothing = np.zeros_like(self.shared)
        rows = [self.own.get(lane_id, self.own.get(trained_name or "", nothing)) for lane_id, trained_name in lanes]
        return self.shared + np.array(rows).reshape(len(rows), len(self.shared))


@dataclass(frozen=True, slots=True, eq=False)
class AccountCorrections:
    """The accounts that have a correction, for one bundle.

    Args:
        bundle_version: Version of the only bundle that they can correct.
        space: Space of that bundle's prompts.
        by_account: Account, as `hashed` writes it -> its correction.
    """

    bundle_version: str
    space: PromptSpace
    by_account: Mapping[str, AccountCorrection]

    def of(self, account: str) -> AccountCorrection | None:
        """Return an account's correction; None: it has none."""
        return self.by_account.get(hashed(account, self.bundle_version))

    def to_bytes(self) -> bytes:
        """Return the file's content: NumPy's `.npz`. Equal corrections give equal bytes."""
        accounts = sorted(self.by_account)
        rows = [
            (place, name, weights)
            for place, account in enumerate(accounts)
            for name, weights in sorted(self.by_account[account].own.items())
        ]
        width = self.space.directions.shape[1] + 1
        file = io.BytesIO()
        np.savez_compressed(
            file,
            format=np.array(_FORMAT),
            bundle_version=np.array(self.bundle_version),
            centre=self.space.centre,
            directions=self.space.directions,
            accounts=np.array(accounts, np.str_),
            shared=np.array([self.by_account[account].shared for account in accounts], np.float64).reshape(-1, width),
            n_answers=np.array([self.by_account[account].n_answers for account in accounts], np.int64),
            own_account=np.array([place for place, _, _ in rows], np.int64),
            own_name=np.array([name for _, name, _ in rows], np.str_),
            own=np.array([weights for _, _, weights in rows], np.float64).reshape(-1, width),
        )
        return file.getvalue()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            BundleError: The file cannot be read, or is not of the documented form.
        """
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
                if int(stored["format"]) != _FORMAT:
                    raise ValueError(f"format {int(stored['format'])}, this program reads {_FORMAT}")
                corrections = cls._of_arrays({name: stored[name] for name in stored.files})
        except (OSError, KeyError, ValueError, EOFError, BadZipFile, zlib.error) as problem:
            raise BundleError(
                f"{path}: cannot be read ({problem}): write it again with 'llmdeal accounts-learn'"
            ) from None
        return corrections

    @classmethod
    def _of_arrays(cls, arrays: Mapping[str, npt.NDArray[np.generic]]) -> Self:
        centre, directions = arrays["centre"].astype(np.float64), arrays["directions"].astype(np.float64)
        accounts, width = arrays["accounts"].astype(np.str_).tolist(), directions.shape[1] + 1
        shared, own = arrays["shared"].astype(np.float64), arrays["own"].astype(np.float64)
        places, names = arrays["own_account"].astype(np.intp).tolist(), arrays["own_name"].astype(np.str_).tolist()
        n_answers = arrays["n_answers"].astype(np.int64).tolist()
        if (
            directions.shape[0] != len(centre)
            or shared.shape != (len(accounts), width)
            or own.shape != (len(names), width)
        ):
            raise ValueError("its arrays do not fit together")
        if not (len(places) == len(names) and len(n_answers) == len(accounts) and np.isfinite(own).all()):
            raise ValueError("its arrays do not fit together")
        if places and not 0 <= min(places) <= max(places) < len(accounts):
            raise ValueError("it names an account that is not there")
        by_place: list[dict[str, Floats]] = [{} for _ in accounts]
        for place, name, weights in zip(places, names, own, strict=True):
            by_place[place][name] = weights
        by_account = {
            account: AccountCorrection(shared[place], by_place[place], n_answers[place])
            for place, account in enumerate(accounts)
        }
        return cls(str(arrays["bundle_version"]), PromptSpace(centre, directions), by_account)


class LaneCoefficients:
    """An account's correction in the order of its lanes. It is on the hot path.

    Args:
        space: Space of the prompts.
        coefficients: Coefficients of the lanes, shape (n_lanes, k + 1).
    """

    __slots__ = ("_centre", "_directions", "_offsets", "_slopes", "coefficients")

    def __init__(self, space: PromptSpace, coefficients: Floats) -> None:
        self.coefficients = coefficients
        self._directions = np.ascontiguousarray(space.directions.T)  # (k, m)
        self._centre = self._directions @ space.centre
        self._offsets, self._slopes = coefficients[:, 0].copy(), np.ascontiguousarray(coefficients[:, 1:])

    def shift(self, quality: Float32s) -> Floats:
        """Return the shift of the lanes' log odds for one prompt, shape (n_lanes,).

        It equals `coefficients @ space.design(quality)` within the bounds, in half the time.

        Args:
            quality: P(good answer) of the trained models, shape (m,).
        """
        chance = np.minimum(np.maximum(quality, LEAST_CHANCE), 1 - LEAST_CHANCE)
        components = self._directions @ np.log(chance / (1 - chance)) - self._centre
        components = np.minimum(np.maximum(components, -_FARTHEST), _FARTHEST)
        shift: Floats = np.minimum(np.maximum(self._slopes @ components + self._offsets, -MAX_SHIFT), MAX_SHIFT)
        return shift


def hashed(account: str, bundle_version: str) -> str:
    """Return an account's name as files hold it: hashed, because bundles travel further than lists of accounts."""
    return hashlib.blake2b(account.encode(), digest_size=12, key=bundle_version.encode()[:64]).hexdigest()


def read_all(paths: Sequence[Path]) -> AccountCorrections | None:
    """Read the first of these files that exists; return None when there is none.

    Raises:
        BundleError: The file cannot be read.
    """
    first = next((path for path in paths if path.is_file()), None)
    return None if first is None else AccountCorrections.read(first)
