"""What has become of the lanes since the bundle was trained: an online Bayesian shift of each lane's log odds of a good answer.

    P(good) = sigmoid(logit(predicted) + common + vendor_model + lane)

Three kinds of shift, Gaussian and independent a priori. `vendor_model` is shared by all lanes of one model, `lane` is a provider's own.
`common` moves slowly and is estimated but never applied: it takes up what all lanes share, such as people who speak up only when
something is wrong, which is no reason to prefer one lane to another.

Each shift is an Ornstein-Uhlenbeck process: without news it goes back to nothing with a half-life, and its variance back to the prior's.
An answer's reward moves the shifts by one step of an extended Kalman filter (Särkkä & Svensson 2023, "Bayesian Filtering and Smoothing",
chapter 7) with the variance of a Bernoulli outcome and of the reward's own error. It is compared with what was predicted of the lane that
answered, for that very prompt: that only some lanes are drawn, and for other prompts than the rest, does not bias it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np

from router.arrays import Floats

DAY_S: Final = 86_400.0
_LEAST_CHANCE: Final = 0.02
"""Nobody is believed to be surer than that: one thumb down must not outweigh fifty up."""
_COMMON: Final = "common"
_FORGOTTEN: Final = 0.999
"""Of the prior's variance: a shift of which no more is known is dropped."""


@dataclass(frozen=True, slots=True)
class ShiftPrior:
    """How far and how fast lanes are believed to move, in log odds and seconds.

    Args:
        common_std, common_half_life_s: Of what all lanes share.
        model_std, lane_std: Of what lanes of one vendor model share, and of a lane's own.
        half_life_s: After so long without news, half of a shift of a model or a lane is left.
        max_shift: No lane is moved further than that.
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
        lane_id, vendor_model: Who gave it.
        predicted: P(good answer) as it was predicted, without any shift, 0..1.
        reward, reward_std: What came of it, 0..1, and the deviation of that.
        at_s: When the request was made, seconds on any clock that goes forward.
        formerly: (reward, deviation) by which the same answer was already learned from; None: it is new.
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
        prior: See `ShiftPrior`.
        at_s: The moment that the belief is about; None: nothing was learned.
        names: Of the shifts: `common`, `model:<vendor model>`, `lane:<lane id>`; those of which nothing is known are absent.
        mean, covariance: Shapes (n,) and (n, n).
    """

    prior: ShiftPrior = field(default_factory=ShiftPrior)
    at_s: float | None = None
    names: list[str] = field(default_factory=list)
    mean: Floats = field(default_factory=lambda: np.zeros(0))
    covariance: Floats = field(default_factory=lambda: np.zeros((0, 0)))

    def learn(self, judged: Judged) -> float:
        """Move the shifts by one judged answer; return how likely a good one was believed to be, the common shift included.

        An answer older than the belief counts less, by half for each half-life.
        """
        if self.at_s is None:
            self.at_s = judged.at_s
        self.advance(judged.at_s)
        rows = self._rows((_COMMON, f"model:{judged.vendor_model}", f"lane:{judged.lane_id}"))
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
        """Go forward to a moment: shifts fade and grow uncertain. A moment of the past changes nothing."""
        if self.at_s is None or at_s <= self.at_s:
            return
        passed_s = at_s - self.at_s
        kept = np.array([0.5 ** (passed_s / self._half_life_s(name)) for name in self.names])
        self.mean = self.mean * kept
        self.covariance = self.covariance * np.outer(kept, kept) + np.diag((1 - kept**2) * self._prior_variances())
        self.at_s = at_s
        self._drop_forgotten()

    def shift_of(self, lane_id: str, vendor_model: str) -> tuple[float, float]:
        """Return a lane's shift, at most `max_shift` either way, and its standard deviation. An unknown lane has that of its vendor model."""
        place = {name: row for row, name in enumerate(self.names)}
        known = [place[name] for name in (f"model:{vendor_model}", f"lane:{lane_id}") if name in place]
        variance = float(self.covariance[np.ix_(known, known)].sum())
        variance += 0.0 if f"model:{vendor_model}" in place else self.prior.model_std**2
        variance += 0.0 if f"lane:{lane_id}" in place else self.prior.lane_std**2
        shift = float(np.clip(self.mean[known].sum(), -self.prior.max_shift, self.prior.max_shift))
        return shift, float(np.sqrt(max(variance, 0.0)))

    def common(self) -> tuple[float, float]:
        """Return the shift that all lanes share, and its standard deviation."""
        if _COMMON not in self.names:
            return 0.0, self.prior.common_std
        row = self.names.index(_COMMON)
        return float(self.mean[row]), float(np.sqrt(self.covariance[row, row]))

    def to_json(self) -> dict[str, object]:
        """Return what has to be kept of it."""
        return {
            "at_s": self.at_s,
            "names": self.names,
            "mean": self.mean.tolist(),
            "covariance": self.covariance.tolist(),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, object], prior: ShiftPrior) -> Self:
        """Return what was kept.

        Raises:
            ValueError, TypeError, KeyError: It is not of that form.
        """
        names = [str(name) for name in stored["names"]]  # type: ignore[attr-defined]  # a wrong type is the caller's to catch
        mean = np.array(stored["mean"], np.float64)
        covariance = np.array(stored["covariance"], np.float64).reshape(len(names), len(names))
        if mean.shape != (len(names),):
            raise ValueError(f"{len(names)} names and {mean.shape} means are no shifts")
        at_s = stored["at_s"]
        return cls(prior, None if at_s is None else float(at_s), names, mean, covariance)  # type: ignore[arg-type]  # likewise

    def _rows(self, names: tuple[str, ...]) -> list[int]:
        """Return the places of shifts; those that were not there join with their prior."""
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
        stds = {_COMMON: self.prior.common_std, "model": self.prior.model_std, "lane": self.prior.lane_std}
        return np.array([stds[name.partition(":")[0]] ** 2 for name in self.names], np.float64)

    def _half_life_s(self, name: str) -> float:
        return self.prior.common_half_life_s if name == _COMMON else self.prior.half_life_s
