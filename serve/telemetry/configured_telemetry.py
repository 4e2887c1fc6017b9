"""The telemetry of one worker, as the settings have it: recorder, writer, checks of answers, log of lanes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from router.features import FEATURES_VERSION
from serve.background.supervisor import BackgroundPart
from serve.clock import Clock
from serve.identity.content_consent import ContentConsent
from serve.lanes.directories import LaneDirectories
from serve.lanes.directory import LaneDirectory
from serve.metrics import Metrics
from serve.outcome_checks.checker import OutcomeChecker
from serve.settings import Settings
from serve.telemetry.attempt_recorder import AttemptRecorder
from serve.telemetry.lane_log import LaneLog
from serve.telemetry.priced_lane_repository import PricedLaneRepository
from serve.telemetry.writer import TelemetryWriter


@dataclass(frozen=True, slots=True)
class ConfiguredTelemetry:
    """The telemetry of one worker.

    Args:
        writer: Writer of attempts and feedback.
        recorder: Recorder of attempts; hands them to the writer, and their answers to the checks.
        parts: Background work of the writer, the checks and the log of lanes.
    """

    writer: TelemetryWriter
    recorder: AttemptRecorder
    parts: tuple[BackgroundPart, ...]


def configured_telemetry(
    settings: Settings,
    engine: Engine,
    lanes: Sequence[LaneDirectories],
    consent: ContentConsent,
    clock: Clock,
    metrics: Metrics,
) -> ConfiguredTelemetry:
    """Return the telemetry of one worker.

    Args:
        settings: Settings of the gateway.
        engine: The database.
        lanes: Every account's lanes, for answers and for embeddings.
        consent: Limit of what is logged of each account's requests.
        clock: Time.
        metrics: Counters; attempts are counted there.
    """

    def directories() -> Iterable[LaneDirectory]:
        return [directory for each in lanes for directory in each.by_account().values()]

    writer = TelemetryWriter(engine, monotonic=clock.monotonic)
    parts = [BackgroundPart("telemetry", start=writer.start, run=writer.follow, close=writer.close)]
    checker = OutcomeChecker(writer, clock, settings.outcome_checks_per_s) if settings.outcome_checks_per_s else None
    if checker is not None:  # closes before the writer, which takes its last feedback
        parts.append(BackgroundPart("outcome_checks", checker.start, checker.follow, checker.close))
    lane_log = LaneLog(PricedLaneRepository(engine), directories, clock)
    parts.append(BackgroundPart("lane_log", run=lane_log.follow))
    recorder = AttemptRecorder(writer, metrics, clock, consent, FEATURES_VERSION, checker)
    return ConfiguredTelemetry(writer, recorder, tuple(parts))
