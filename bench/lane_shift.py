"""Measures how soon a gateway notices a lane that silently got worse, and how often it wrongly suspects one.

Run `python -m bench.lane_shift [--runs 20] [--checks] [--requests-per-day 2000]`. The feedback is simulated:

- Requests come evenly over the day.
- A share of the answers is judged by thumbs, and one thumb in nine is wrong.
- People judge more harshly than the bundle was trained to (`_HARSHNESS`), for all lanes alike.
- With checks, every answer is checked for a refusal and one in three for its schema, as in a gateway's default
  settings. By default the checks find the same share of faults in all lanes at all times. So they know nothing of the
  lane that got worse and must not hide it.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from router.arrays import Floats
from router.lane_learning import ALL_LANES, JudgedAnswer, LaneLearning, LearningTerms, Signal, read_signals

N_LANES = 4
REQUESTS_PER_HOUR = 200
JUDGED_SHARE = 0.05
HOURS_BEFORE, HOURS_AFTER = 30 * 24, 7 * 24
_SETTLING_HOURS = 48
_HARSHNESS = -0.5
_WRONG_THUMBS = 0.11
_THUMB_STD = 0.3
_FAULTS = {"refusal": 0.03, "schema_valid": 0.1}
"""Check -> share of the answers in which it finds a fault."""
_SCHEMA_SHARE = 1 / 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results of one kind of degradation, over all runs.

    Args:
        drop: Fall of the first lane's P(good); 0: no fall.
        share: Share of the requests that the first lane answers.
        true_shift: Size of the drop in log odds of a good answer.
        hours: Hours of each run from the drop until the shift reached half of `true_shift`; NaN: never.
        after_3_days: Shift of each run three days after the drop.
        settled: Mean shift in the last two days.
        wobble: Standard deviation of the shifts of all lanes in the 30 days before the drop.
        largest: Largest absolute shift of any lane in these 30 days, over all runs.
        alarm_hours: Hours of each run from the drop until the lane's alarm; NaN: no alarm.
        false_alarms: Number of alarms in the 30 days before the drop, over all runs.
        suspected: Share of the hours of these 30 days in which a lane was shifted down by half of `true_shift` or more.
    """

    drop: float
    share: float
    true_shift: float
    hours: Floats
    after_3_days: Floats
    settled: float
    wobble: float
    largest: float
    alarm_hours: Floats
    false_alarms: int
    suspected: float


def simulate(
    drop: float,
    share: float,
    runs: Sequence[int],
    terms: LearningTerms | None = None,
    *,
    has_checks: bool = False,
    requests_per_hour: float = REQUESTS_PER_HOUR,
) -> Outcome:
    """Return the results if the first lane's P(good) falls by `drop`, 30 days after the start of learning.

    Args:
        drop: Fall of P(good), 0..1.
        share: Share of the requests that the first lane answers.
        runs: Seeds.
        terms: Terms of the learning; None: the defaults.
        has_checks: Whether every answer is checked.
        requests_per_hour: Requests an hour, to all lanes together.
    """
    histories = [_run(drop, share, seed, terms or LearningTerms(), has_checks, requests_per_hour) for seed in runs]
    shifts = np.array([history for history, _ in histories])  # (runs, hours, lanes)
    alarms_by_run = [alarms for _, alarms in histories]
    true_shift = _true_shift(drop)
    before, after = shifts[:, _SETTLING_HOURS:HOURS_BEFORE], shifts[:, HOURS_BEFORE:, 0]
    level = before[:, -24:, 0].mean(axis=1, keepdims=True)
    is_half = after - level <= true_shift / 2
    hours = np.where(is_half.any(axis=1), is_half.argmax(axis=1) + 1.0, np.nan)
    suspected = (before <= true_shift / 2).any(axis=2).mean() if drop else np.nan
    return Outcome(
        drop,
        share,
        true_shift,
        hours,
        after[:, 72],
        float(after[:, -48:].mean()),
        float(before.std()),
        float(np.abs(before).max()),
        np.array([_first_alarm(alarms) for alarms in alarms_by_run]),
        sum(hour < HOURS_BEFORE for alarms in alarms_by_run for hour, _ in alarms),
        float(suspected),
    )


def _run(
    drop: float, share: float, seed: int, terms: LearningTerms, has_checks: bool, requests_per_hour: float
) -> tuple[Floats, list[tuple[int, str]]]:
    """Return the shifts at the end of each hour, (hours, lanes), and (hour, lane) of each alarm."""
    rng, check_rng = np.random.default_rng(seed), np.random.default_rng((seed, 1))
    shares = np.append(share, np.full(N_LANES - 1, (1 - share) / (N_LANES - 1)))
    learning, shifts = LaneLearning.begin(terms), []
    alarms: list[tuple[int, str]] = []
    for hour in range(HOURS_BEFORE + HOURS_AFTER):
        for moment in np.sort(rng.random(rng.poisson(requests_per_hour * JUDGED_SHARE))):
            lane, predicted = int(rng.choice(N_LANES, p=shares)), _predictions(rng, 1)
            chance = _thumb_chance(predicted, drop if hour >= HOURS_BEFORE and lane == 0 else 0.0)
            is_up = bool(rng.random() < chance[0])
            thumb = Signal("thumbs", float(is_up), _THUMB_STD)
            signals = (thumb, *(_checks(check_rng) if has_checks else ()))
            at_s = (hour + moment) * 3_600.0
            alarmed = learning.learn(JudgedAnswer(f"lane-{lane}", f"vendor/{lane}", float(predicted[0]), at_s, signals))
            alarms += [(hour, name) for name in alarmed if name != ALL_LANES]
        if has_checks:
            for _ in range(check_rng.poisson(requests_per_hour * (1 - JUDGED_SHARE))):
                lane, predicted = int(check_rng.choice(N_LANES, p=shares)), _predictions(check_rng, 1)
                checked = JudgedAnswer(
                    f"lane-{lane}", f"vendor/{lane}", float(predicted[0]), (hour + 1) * 3_600.0, _checks(check_rng)
                )
                learning.learn(checked)
        learning.advance((hour + 1) * 3_600.0)
        shifts.append(learning.shifts_of([(f"lane-{lane}", f"vendor/{lane}") for lane in range(N_LANES)]))
    return np.array(shifts), alarms


def _checks(rng: np.random.Generator) -> tuple[Signal, ...]:
    """Return the results of the checks of one answer, which do not depend on how good it is."""
    names = ["refusal", "schema_valid"] if rng.random() < _SCHEMA_SHARE else ["refusal"]
    faults = [float(rng.random() < _FAULTS[name]) for name in names]
    values = [1 - fault if name == "schema_valid" else fault for name, fault in zip(names, faults, strict=True)]
    return read_signals(names, values)


def _first_alarm(alarms: Sequence[tuple[int, str]]) -> float:
    """Return the hours from the drop until the first lane's alarm; NaN: no alarm."""
    hours = [hour - HOURS_BEFORE + 1.0 for hour, name in alarms if name == "lane-0" and hour >= HOURS_BEFORE]
    return min(hours, default=np.nan)


def _predictions(rng: np.random.Generator, n: int) -> Floats:
    return rng.beta(6, 2.5, n).clip(0.05, 0.95)


def _thumb_chance(predicted: Floats, drop: float) -> Floats:
    chance = _good_chance(predicted, drop)
    return np.asarray(chance * (1 - _WRONG_THUMBS) + (1 - chance) * _WRONG_THUMBS, np.float64)


def _good_chance(predicted: Floats, drop: float) -> Floats:
    """Return P(good) as people see it."""
    chance = 1 / (1 + (1 - predicted) / predicted * np.exp(-_HARSHNESS))
    return np.asarray(np.maximum(chance - drop, 0.02), np.float64)


def _true_shift(drop: float) -> float:
    """Return the shift that a drop makes in the log odds of a good answer, compared with the predictions."""
    predicted = _predictions(np.random.default_rng(0), 20_000)
    odds = np.log(predicted / (1 - predicted))

    def fitted(chances: Floats) -> float:
        shift = 0.0
        for _ in range(30):
            chance = 1 / (1 + np.exp(-odds - shift))
            shift += float((chances - chance).sum() / (chance * (1 - chance)).sum())
        return shift

    return fitted(_good_chance(predicted, drop)) - fitted(_good_chance(predicted, 0.0))


def main() -> None:
    """Print a line for each kind of degradation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="number of seeds")
    parser.add_argument("--checks", action="store_true", help="check every answer, too")
    parser.add_argument("--requests-per-day", type=float, default=24 * REQUESTS_PER_HOUR, help="to all lanes together")
    options = parser.parse_args()
    per_hour = options.requests_per_day / 24
    runs = range(options.runs)
    print(
        "drop  share of requests  judged/h  true shift  hours to half: median, 90%, never  after 3 days  +-  "
        "settled at  wobble  largest  suspected  hours to alarm, never  false alarms"
    )
    for drop, share in ((0.3, 0.97), (0.3, 0.4), (0.3, 0.1), (0.22, 0.97), (0.22, 0.4), (0.15, 0.4)):
        out = simulate(drop, share, runs, has_checks=options.checks, requests_per_hour=per_hour)
        reached = out.hours[~np.isnan(out.hours)]
        median, late = np.percentile(reached, (50, 90)) if len(reached) else (np.nan, np.nan)
        rung = out.alarm_hours[~np.isnan(out.alarm_hours)]
        alarm = np.median(rung) if len(rung) else np.nan
        judged = per_hour * JUDGED_SHARE * share
        print(
            f"{drop:4.2f}  {share:17.0%}  {judged:8.1f}  {out.true_shift:10.2f}  {median:16.0f} {late:11.0f} "
            f"{np.isnan(out.hours).sum():5d}"
            f"  {out.after_3_days.mean():12.2f} {out.after_3_days.std():3.2f}"
            f"  {out.settled:10.2f}  {out.wobble:6.2f}  {out.largest:7.2f}  {out.suspected:9.2%}"
            f"  {alarm:14.0f} {np.isnan(out.alarm_hours).sum():6d}  {out.false_alarms:12d}"
        )


if __name__ == "__main__":
    main()
