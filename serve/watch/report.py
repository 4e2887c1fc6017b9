"""What the watch knows of one account at this moment, for the command line and the dashboard. Blocks; for a thread."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from router.lane_learning import ALL_LANES, LaneLearning, LearningTerms
from serve.alerts.watch_repository import Alarm, WatchRepository
from serve.watch.lane_watch import LaneWatch
from serve.watch.prompt_watch import PROMPTS

ACTIVE_US: Final = 24 * 3_600_000_000
"""An alarm counts as ringing for a day; what goes on rings again."""
_SHOWN_US: Final = 30 * 24 * 3_600_000_000
_LANE: Final = "lane:"


@dataclass(frozen=True, slots=True)
class LaneLine:
    """What was learned of one lane.

    Args:
        lane_id: The lane.
        router_version: Of the bundle whose predictions it was compared with.
        shift, shift_std: Of its log odds of a good answer.
        n_answers: Judged answers that its test has seen.
        evidence: How far the test is on its way to the alarm, 0..1.
    """

    lane_id: str
    router_version: str
    shift: float
    shift_std: float
    n_answers: int
    evidence: float


@dataclass(frozen=True, slots=True)
class VersionLine:
    """What was learned of a bundle over all lanes; as `LaneLine`."""

    router_version: str
    common_shift: float
    common_shift_std: float
    n_answers: int
    evidence: float


@dataclass(frozen=True, slots=True)
class WatchReport:
    """All of it.

    Args:
        alarms: Of the last 30 days, the latest first.
        ringing: Of the last day, the latest of each subject.
        versions: The bundles that judged answers came from.
        lanes: Of which something was learned.
        numbers: (name, stability index, what it exceeds by chance) of the prompts' numbers that changed most.
        against_bundle: (name, stability index) of this week's prompts against those that the bundle was trained on.
        n_before, n_now: Prompts that were compared; both 0 before it was looked.
    """

    alarms: Sequence[Alarm]
    ringing: Sequence[Alarm]
    versions: Sequence[VersionLine]
    lanes: Sequence[LaneLine]
    numbers: Sequence[tuple[str, float, float]]
    against_bundle: Sequence[tuple[str, float]]
    n_before: int
    n_now: int


def read_report(engine: Engine, terms: LearningTerms, account: str, now_us: int) -> WatchReport:
    """Return what the watch knows of an account."""
    repository = WatchRepository(engine)
    alarms = repository.alarms(now_us - _SHOWN_US, account)
    of_today = [alarm for alarm in alarms if alarm.rang_at_us >= now_us - ACTIVE_US]
    latest = {(alarm.kind, alarm.subject): alarm for alarm in reversed(of_today)}
    learned = {
        version: learning
        for (_, version), learning in LaneWatch(engine, repository, terms).read(account=account).items()
    }
    for learning in learned.values():
        learning.correction.advance(now_us / 1e6)
    prompts = repository.state((PROMPTS, account, ""))
    told = {} if prompts is None else prompts.value
    return WatchReport(
        alarms,
        list(latest.values()),
        [_version_line(version, learning) for version, learning in sorted(learned.items())],
        [line for version, learning in sorted(learned.items()) for line in _lane_lines(version, learning)],
        [(str(name), float(index), float(by_chance)) for name, index, by_chance in told.get("numbers", ())],
        [(str(name), float(index)) for name, index in told.get("against_bundle", ())],
        int(told.get("n_before", 0)),
        int(told.get("n_now", 0)),
    )


def _version_line(version: str, learning: LaneLearning) -> VersionLine:
    test = learning.tests.get(ALL_LANES)
    n_answers, evidence = (0, 0.0) if test is None else (test.n_answers, test.evidence)
    return VersionLine(version, *learning.correction.common(), n_answers, evidence)


def _lane_lines(version: str, learning: LaneLearning) -> list[LaneLine]:
    lane_ids = {name.removeprefix(_LANE) for name in learning.correction.names if name.startswith(_LANE)}
    lines = []
    for lane_id in sorted(lane_ids | (set(learning.tests) - {ALL_LANES})):
        test = learning.tests.get(lane_id)
        n_answers, evidence = (0, 0.0) if test is None else (test.n_answers, test.evidence)
        shift, std = learning.correction.shift_of(lane_id, learning.vendor_models.get(lane_id, ""))
        lines.append(LaneLine(lane_id, version, shift, std, n_answers, evidence))
    return lines
