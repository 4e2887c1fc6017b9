"""The state of the watch for one account, for the command line and the dashboard. Blocks; for a thread."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from router.lane_learning import ALL_LANES, LaneLearning, LearningTerms
from serve.alerts.watch_repository import Alarm, WatchRepository
from serve.watch.lane_watch import LaneWatch
from serve.watch.prompt_watch import PROMPTS

ACTIVE_US: Final = 24 * 3_600_000_000
"""An alarm counts as ringing for a day; a cause that goes on raises it again."""
_SHOWN_US: Final = 30 * 24 * 3_600_000_000
_LANE: Final = "lane:"


@dataclass(frozen=True, slots=True)
class LaneLine:
    """What the watch learned about one lane.

    Args:
        lane_id: The lane.
        router_version: Version of the bundle whose predictions the answers were compared with.
        shift: Shift of its log odds of a good answer.
        shift_std: Standard deviation of the shift.
        n_answers: Number of judged answers that its test has seen.
        evidence: Progress of the test towards an alarm, 0..1.
    """

    lane_id: str
    router_version: str
    shift: float
    shift_std: float
    n_answers: int
    evidence: float


@dataclass(frozen=True, slots=True)
class VersionLine:
    """What the watch learned about a bundle over all lanes; fields as in `LaneLine`."""

    router_version: str
    common_shift: float
    common_shift_std: float
    n_answers: int
    evidence: float


@dataclass(frozen=True, slots=True)
class WatchReport:
    """The state of the watch for one account.

    Args:
        alarms: Alarms of the last 30 days, the latest first.
        ringing: Alarms of the last day, the latest of each subject.
        versions: Lines of the bundles that judged answers came from.
        lanes: Lines of the lanes about which the watch learned.
        numbers: (name, stability index, largest index that chance explains) of the prompts' numbers that changed most.
        against_bundle: (name, stability index) of this week's prompts against those that the bundle was trained on.
        n_before: Number of earlier prompts that were compared; 0 before the first comparison.
        n_now: Number of this week's prompts that were compared; 0 before the first comparison.
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
    """Return the state of the watch for an account."""
    repository = WatchRepository(engine)
    alarms = repository.alarms(now_us - _SHOWN_US, account)
    of_today = [alarm for alarm in alarms if alarm.rang_at_us >= now_us - ACTIVE_US]
    latest = {(alarm.kind, alarm.subject): alarm for alarm in reversed(of_today)}
    learned = {
        version: learning
        for (_, version), learning in LaneWatch(engine, repository, terms).read(account=account).items()
    }
    for learning in learned.values():
        learning.advance(now_us / 1e6)
    prompts = repository.state((PROMPTS, account, ""))
    comparison = {} if prompts is None else prompts.value
    return WatchReport(
        alarms,
        list(latest.values()),
        [_version_line(version, learning) for version, learning in sorted(learned.items())],
        [line for version, learning in sorted(learned.items()) for line in _lane_lines(version, learning)],
        [(str(name), float(index), float(by_chance)) for name, index, by_chance in comparison.get("numbers", ())],
        [(str(name), float(index)) for name, index in comparison.get("against_bundle", ())],
        int(comparison.get("n_before", 0)),
        int(comparison.get("n_now", 0)),
    )


def _version_line(version: str, learning: LaneLearning) -> VersionLine:
    test = learning.tests.get(ALL_LANES)
    n_answers, evidence = (0, 0.0) if test is None else (test.n_answers, test.evidence)
    return VersionLine(version, *learning.correction.common(), n_answers, evidence)


def _lane_lines(version: str, learning: LaneLearning) -> list[LaneLine]:
    lane_ids = {name.removeprefix(_LANE) for name in learning.correction.names if name.startswith(_LANE)}
    lines = []
    for lane_id in sorted(lane_ids | (set(learning.tests) - {ALL_LANES}) | set(learning.faults.drops())):
        test = learning.tests.get(lane_id)
        n_answers, evidence = (0, 0.0) if test is None else (test.n_answers, test.evidence)
        shift, std = learning.shift_of(lane_id, learning.vendor_models.get(lane_id, ""))
        lines.append(LaneLine(lane_id, version, shift, std, n_answers, evidence))
    return lines
