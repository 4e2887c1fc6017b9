"""Learns online how lanes changed since the bundle was trained: a shift of each lane's log odds of a good answer.

    P(good) = sigmoid(logit(predicted) + common + vendor_model + lane)

There are three kinds of shift, Gaussian and independent a priori. All lanes of one model share `vendor_model`; `lane`
belongs to one lane. `common` moves slowly. It is estimated but never applied: it takes up what all lanes share, such as
people who give feedback only when something is wrong. That is no reason to prefer one lane to another.

Each shift is an Ornstein-Uhlenbeck process: without news it goes back to 0 with a half-life, and its variance goes back
to the prior's. An answer's reward moves the shifts by one step of an extended Kalman filter (Särkkä & Svensson 2023,
"Bayesian Filtering and Smoothing", chapter 7), with the variance of a Bernoulli outcome and of the reward's own error.
The reward is compared with the prediction for the lane that answered, for the same prompt. So it is no bias that only
some lanes are drawn, and for other prompts than the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np

from router.arrays import Floats

DAY_S: Final = 86_400.0
_LEAST_CHANCE: Final = 0.02
"""Predictions nearer to 0 or 1 count as this: one thumb down must not outweigh fifty up."""
COMMON: Final = "common"
"""Name of the shift that all lanes share."""
_FORGOTTEN: Final = 0.999
"""A shift is dropped when its variance is at least this share of the prior's, and its mean is near 0."""


@dataclass(frozen=True, slots=True)
class ShiftPrior:
    """The prior of the shifts, in log odds and seconds.

    Args:
        common_std, common_half_life_s: Standard deviation and half-life of the shift that all lanes share.
        model_std, lane_std: Standard deviations of the shift of a vendor model, and of the shift of a lane.
        half_life_s: Time without news after which half of a model's or a lane's shift is left.
        max_shift: Largest shift of a lane.
    """

    common_std: float = 0.7
    common_half_life_s: float = 30 * DAY_S
    model_std: float = 0.57
    lane_std: float = 0.57
    half_life_s: float = 3 * DAY_S
    max_shift: float = 2.0


@dataclass(frozen=True, slots=True)
class Judged:
    """One judged answer.

    Args:
        lane_id, vendor_model: Lane that gave it, and its model.
        predicted: Predicted P(good answer), without any shift, 0..1.
        reward, reward_std: Reward of the answer, 0..1, and its standard deviation.
        at_s: Time of the request, seconds on any clock that goes forward.
        formerly: Reward and deviation that this answer had when it was learned from before; None: it is new.
    """

    lane_id: str
    vendor_model: str
    predicted: float
    reward: float
    reward_std: float
    at_s: float
    formerly: tuple[float, float] | None = None


@dataclass(slots=True)
class LaneCorrection:
    """The shifts of one account's lanes under one bundle, as one Gaussian.

    Args:
        prior: Prior of the shifts.
        at_s: Time that the belief holds for; None: nothing was learned yet.
        names: Names of the shifts: `common`, `model:<vendor model>`, `lane:<lane id>`; absent ones have their prior.
        mean, covariance: Mean and covariance of the shifts, shapes (n,) and (n, n).
    """

    prior: ShiftPrior = field(default_factory=ShiftPrior)
    at_s: float | None = None
    names: list[str] = field(default_factory=list)
    mean: Floats = field(default_factory=lambda: np.zeros(0))
    covariance: Floats = field(default_factory=lambda: np.zeros((0, 0)))

    def learn(self, judged: Judged) -> float:
        """Move the shifts by one judged answer, and return P(good answer) before that, with all shifts.

        An answer older than the belief counts less, by half for each half-life.
        """
        if self.at_s is None:
            self.at_s = judged.at_s
        self.advance(judged.at_s)
        rows = self._rows((COMMON, f"model:{judged.vendor_model}", f"lane:{judged.lane_id}"))
        chance = min(max(judged.predicted, _LEAST_CHANCE), 1 - _LEAST_CHANCE)
        log_odds = float(np.log(chance / (1 - chance)) + self.mean[rows].sum())
        believed = float(np.clip(1 / (1 + np.exp(-log_odds)), _LEAST_CHANCE, 1 - _LEAST_CHANCE))
        slope = believed * (1 - believed)
        staleness = 0.5 ** ((self.at_s - judged.at_s) / self.prior.half_life_s)
        weight = staleness / (slope + judged.reward_std**2)
        pull = weight * (judged.reward - believed)
        if judged.formerly is not None:
            reward, reward_std = judged.formerly
            before = staleness / (slope + reward_std**2)
            pull -= before * (reward - believed)
            weight = max(weight - before, 0.0)
        reach = slope * self.covariance[:, rows].sum(axis=1)  # (n,), covariance of the shifts with the chance
        spread = slope * float(reach[rows].sum())
        self.covariance = self.covariance - np.outer(reach, reach) * (weight / (1 + weight * spread))
        self.mean = self.mean + reach * (pull / (1 + weight * spread))
        return believed

    def advance(self, at_s: float) -> None:
        """Go forward to a time: shifts fade and grow uncertain. A time in the past changes nothing."""
        if self.at_s is None or at_s <= self.at_s:
            return
        passed_s = at_s - self.at_s
        kept = np.array([0.5 ** (passed_s / self._half_life_s(name)) for name in self.names])
        self.mean = self.mean * kept
        self.covariance = self.covariance * np.outer(kept, kept) + np.diag((1 - kept**2) * self._prior_variances())
        self.at_s = at_s
        self._drop_forgotten()

    def shift_of(self, lane_id: str, vendor_model: str) -> tuple[float, float]:
        """Return a lane's shift, within `max_shift`, and its deviation. A new lane has that of its vendor model."""
        place = {name: row for row, name in enumerate(self.names)}
        rows = [place[name] for name in (f"model:{vendor_model}", f"lane:{lane_id}") if name in place]
        variance = float(self.covariance[np.ix_(rows, rows)].sum())
        variance += 0.0 if f"model:{vendor_model}" in place else self.prior.model_std**2
        variance += 0.0 if f"lane:{lane_id}" in place else self.prior.lane_std**2
        shift = float(np.clip(self.mean[rows].sum(), -self.prior.max_shift, self.prior.max_shift))
        return shift, float(np.sqrt(max(variance, 0.0)))

    def common(self) -> tuple[float, float]:
        """Return the shift that all lanes share, and its standard deviation."""
        if COMMON not in self.names:
            return 0.0, self.prior.common_std
        row = self.names.index(COMMON)
        return float(self.mean[row]), float(np.sqrt(self.covariance[row, row]))

    def to_json(self) -> dict[str, object]:
        """Return the state that has to be stored."""
        return {
            "at_s": self.at_s,
            "names": self.names,
            "mean": self.mean.tolist(),
            "covariance": self.covariance.tolist(),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, object], prior: ShiftPrior) -> Self:
        """Return the shifts with a stored state.

        Raises:
            ValueError, TypeError, KeyError: The state is not of the stored form.
        """
        names = [str(name) for name in stored["names"]]  # type: ignore[attr-defined]  # raises
        mean = np.array(stored["mean"], np.float64)
        covariance = np.array(stored["covariance"], np.float64).reshape(len(names), len(names))
        if mean.shape != (len(names),):
            raise ValueError(f"{len(names)} names and {mean.shape} means are no shifts")
        at_s = stored["at_s"]
        seconds = None if at_s is None else float(at_s)  # type: ignore[arg-type]  # raises
        return cls(prior, seconds, names, mean, covariance)

    def _rows(self, names: tuple[str, ...]) -> list[int]:
        """Return the places of shifts; missing ones are added with their prior."""
        missing = [name for name in names if name not in self.names]
        if missing:
            former, n = self.covariance, len(self.names)
            self.names = [*self.names, *missing]
            self.mean = np.append(self.mean, np.zeros(len(missing)))
            self.covariance = np.diag(self._prior_variances())
            self.covariance[:n, :n] = former
        return [self.names.index(name) for name in names]

    def _drop_forgotten(self) -> None:
        prior = self._prior_variances()
        is_kept = (np.diag(self.covariance) < _FORGOTTEN * prior) | (
            np.abs(self.mean) > (1 - _FORGOTTEN) * np.sqrt(prior)
        )
        if not is_kept.all():
            self.names = [name for name, kept in zip(self.names, is_kept, strict=True) if kept]
            self.mean, self.covariance = self.mean[is_kept], self.covariance[np.ix_(is_kept, is_kept)]

    def _prior_variances(self) -> Floats:
        stds = {COMMON: self.prior.common_std, "model": self.prior.model_std, "lane": self.prior.lane_std}
        return np.array([stds[name.partition(":")[0]] ** 2 for name in self.names], np.float64)

    def _half_life_s(self, name: str) -> float:
        return self.prior.common_half_life_s if name == COMMON else self.prior.half_life_s
