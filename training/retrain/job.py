"""`llmdeal retrain`: reads logs, learns, writes a challenger with a verdict. Resumable, idempotent, one at a time."""

import os
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from router.bundle import load_bundle
from router.errors import BundleError
from router.placement import logit
from router.verdict import Verdict, read_verdict, write_verdict
from training.bundle.writer import check_bundle_place
from training.corpus.graded_corpus import read_corpus
from training.off_policy.reward_model import RewardLearner
from training.off_policy.signals import judgement_rules
from training.progress import Progress
from training.promotion.registry import BundleRegistry
from training.retrain.accounts import beside, corrections_of_champion, fit_accounts_to_all, learn_accounts
from training.retrain.challenger import write_challenger
from training.retrain.champion import Champion, read_champion
from training.retrain.correction import LogitSpace
from training.retrain.evidence import ChampionView, gather_evidence
from training.retrain.evidence_table import Evidence, Ints, assemble_evidence
from training.retrain.fingerprint import challenger_name, fingerprint_of
from training.retrain.judging import (
    Contestants,
    Corrections,
    LaterConversations,
    TestRequests,
    judge,
    read_test_requests,
)
from training.retrain.lane_models import LaneModels, find_lane_models
from training.retrain.recent import repeat_watch
from training.retrain.recording import record_of, record_run
from training.retrain.report import make_report
from training.retrain.settings import RetrainSettings
from training.retrain.stages import Outcome, check_enough, keep_models, learn, learn_from_all, learnable
from training.retrain.starting_bundle import can_start, find_root, seen_until
from training.retrain.work_folder import WorkFolder, only_one
from training.telemetry.reader import LogReader, open_logs

WORK_FOLDER = ".retrain"


@dataclass(frozen=True, slots=True)
class RetrainPlan:
    """What a retraining is asked to do.

    Args:
        logs: Folder of an export, or of several.
        champion: Folder of the bundle in use.
        out: Folder of bundles; the challenger becomes a folder in it.
        corpus: Graded answers that keep what the champion knew; None: there are none at hand.
        work: Where checkpoints lie; None: `.retrain` in `out`.
        account_corrections: Folder of those that the champion is served with; None: `account_corrections` beside `out`.
        settings: Of the retraining.
        start: Folder of the bundle that learning starts from; None: the one that the champion was first learned from, where it can, else the champion.
    """

    logs: Path
    champion: Path
    out: Path
    corpus: Path | None = None
    work: Path | None = None
    account_corrections: Path | None = None
    settings: RetrainSettings = field(default_factory=RetrainSettings)
    start: Path | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Reading:
    """What was read of the logs.

    Args:
        work: Where checkpoints lie.
        start: What learning starts from.
        models, all_models: Of the lanes: those that can be learned, and all that there are.
        evidence, all_evidence: Likewise.
        column: Place among all models -> place among those that can be learned; -1: it cannot.
    """

    work: WorkFolder
    start: Champion
    models: LaneModels
    all_models: LaneModels
    evidence: Evidence
    all_evidence: Evidence
    column: Ints

    @property
    def view(self) -> ChampionView:
        """The start as the lanes of the logs see it."""
        return ChampionView(self.start.bundle.version, self.start.parts, self.models)


@dataclass(frozen=True, slots=True)
class RetrainResult:
    """What came of it.

    Args:
        bundle: Folder of the challenger.
        verdict: What the gate said.
        is_new: False where an earlier run had done all of it.
        fingerprint: Hash of everything that decided it.
    """

    bundle: Path
    verdict: Verdict
    is_new: bool
    fingerprint: str


class Machinery(Protocol):
    """Does the heavy work of a retraining, here or on other machines."""

    def gather(
        self, reader: LogReader, view: ChampionView, rows_per_part: int, work: WorkFolder, progress: Progress
    ) -> None:
        """Make the checkpoint of every part of the log that is not there yet."""
        ...

    def learner(self, settings: RetrainSettings) -> RewardLearner | None:
        """Return what fits the gate's reward model; None: the gate's own."""
        ...


class ThisProcess:
    """Reads one part after the other, here."""

    def gather(
        self, reader: LogReader, view: ChampionView, rows_per_part: int, work: WorkFolder, progress: Progress
    ) -> None:
        """Make the checkpoint of every part of the log that is not there yet."""
        starts = range(0, len(reader), rows_per_part)
        with progress.stage("Reading and encoding", len(starts)) as advance:
            for start in starts:
                if not work.has(part_name(start)):
                    work.put(part_name(start), gather_evidence(reader.read(start, start + rows_per_part), view))
                advance(1)

    def learner(self, settings: RetrainSettings) -> RewardLearner | None:
        """Return None: the gate's own."""
        return None


def part_name(start: int) -> str:
    """Return the name of the checkpoint of the part that begins there."""
    return f"part-{start:09}"


def retrain(
    plan: RetrainPlan, progress: Progress, machinery: Machinery | None = None, registry: BundleRegistry | None = None
) -> RetrainResult:
    """Learn from the logs and write a challenger with a verdict.

    Args:
        plan: What to do.
        progress: Where to show how far it is.
        machinery: Does the heavy work; None: this process.
        registry: Where the run is recorded; None: nowhere.

    Raises:
        TelemetryError, CorpusError: What was given cannot be used, or too little can be learned from it; nothing is written.
        router.errors.BundleError: The champion is unusable.
        SettingsError: Another retraining is at work there, a folder cannot be written, or the registry cannot be reached: then the work is kept.
        ParityError: The export differs from what was fitted; nothing is written.
    """
    machinery = machinery or ThisProcess()
    champion = read_champion(plan.champion)
    start = read_champion(plan.start) if plan.start else find_root(champion, [plan.out])
    corpus = read_corpus(plan.corpus) if plan.corpus else None
    of_champion = corrections_of_champion(champion.bundle, plan.account_corrections or beside(plan.out))
    fingerprint = fingerprint_of(plan.logs, champion, start, corpus, plan.settings, of_champion)
    bundle = plan.out / challenger_name(champion, fingerprint)
    work_root = plan.work or plan.out / WORK_FOLDER
    with only_one(work_root):
        verdict = _verdict_on(bundle)
        if verdict is not None:
            return RetrainResult(bundle, verdict, False, fingerprint)
        check_bundle_place(bundle)
        reading = _read(plan, champion, start, work_root / fingerprint[:16], progress, machinery)
        work, start, evidence = reading.work, reading.start, reading.evidence
        made = work.folder / bundle.name
        # That a check found nothing wrong is something to learn from, not to judge on: it says the same of every lane.
        judgements = open_logs(plan.logs, rules=judgement_rules(plan.settings.reward_rules))
        with progress.stage("Learning", 1) as advance:
            outcome = learn(start, evidence, reading.models, corpus, plan.settings, work, advance)
        with progress.stage("Correcting for accounts", None):
            judged_accounts = learn_accounts(start, outcome.learned, evidence, judgements, plan.settings)
        with progress.stage("Learning from all of it", 1) as advance:
            learned = learn_from_all(start, evidence, reading.models, corpus, plan.settings, outcome, work, advance)
            accounts = fit_accounts_to_all(start, learned, evidence, judgements, plan.settings, judged_accounts)
            recent = repeat_watch(start, learned, reading.all_evidence, reading.all_models, reading.column)
        record = record_of(evidence, outcome, accounts, corpus)
        with progress.stage("Exporting and proving parity", None):
            write_challenger(made, start, learned, record, recent, accounts.fitted)
        with progress.stage("Judging on later conversations", None):
            versions = (load_bundle(made).version, champion.bundle.version)
            corrections = (of_champion, judged_accounts.for_bundle(versions[0]))
            requests = _read_later(plan, champion, reading, outcome, judgements, corrections)
            verdict = judge(requests, versions, datetime.now(UTC), plan.settings, machinery.learner(plan.settings))
            write_verdict(made, verdict)
        if registry is not None:
            with progress.stage("Recording", None):
                report = make_report(requests)
                record_run(registry, fingerprint, made, plan.champion, plan.settings, record, verdict, report)
        _put_in_place(made, bundle)
        for folder in work_root.glob(f"{fingerprint[:16]}*"):
            shutil.rmtree(folder, ignore_errors=True)
    return RetrainResult(bundle, verdict, True, fingerprint)


def _read(
    plan: RetrainPlan, champion: Champion, start: Champion, work_folder: Path, progress: Progress, machinery: Machinery
) -> _Reading:
    """Read the logs as the start sees them; as the champion does, where that one cannot be started from."""
    reading = _read_from(plan, champion, start, WorkFolder(work_folder), progress, machinery)
    if plan.start is None and not can_start(start, champion, reading.all_evidence, reading.models):
        by_itself = WorkFolder(work_folder.with_name(f"{work_folder.name}-champion"))
        reading = _read_from(plan, champion, champion, by_itself, progress, machinery)
    check_enough(reading.all_evidence, plan.logs, plan.settings)
    return reading


def _read_from(
    plan: RetrainPlan, champion: Champion, start: Champion, work: WorkFolder, progress: Progress, machinery: Machinery
) -> _Reading:
    settings = plan.settings
    with progress.stage("Finding requests and rewards", None):
        reader = open_logs(plan.logs, rules=settings.reward_rules)
        models = find_lane_models(plan.logs, reader.lane_ids, reader.trained_names, start.trained_names)
    view = ChampionView(start.bundle.version, start.parts, models)
    machinery.gather(reader, view, settings.rows_per_part, work, progress)
    starts = range(0, len(reader), settings.rows_per_part)
    parts = [work.path(part_name(first)) for first in starts]
    evidence = assemble_evidence(parts, work, settings, seen_until(champion))
    column = learnable(evidence, models, settings)
    return _Reading(work, start, keep_models(models, column), models, evidence.with_columns(column), evidence, column)


def _read_later(
    plan: RetrainPlan,
    champion: Champion,
    reading: _Reading,
    outcome: Outcome,
    judgements: LogReader,
    corrections: Corrections,
) -> TestRequests:
    later = LaterConversations(reading.evidence.test_since, reading.evidence.test_conversations)
    view, models = reading.view, reading.view.models
    if champion.bundle.version != reading.start.bundle.version:
        models = find_lane_models(plan.logs, judgements.lane_ids, judgements.trained_names, champion.trained_names)
    in_use = ChampionView(champion.bundle.version, champion.parts, models)
    contestants = Contestants(in_use, view, LogitSpace.of(logit(reading.start.reference.quality)), outcome, corrections)
    return read_test_requests(judgements, later, contestants, plan.settings.rows_per_part)


def _verdict_on(bundle: Path) -> Verdict | None:
    """Return what was said of a bundle that is already there and whole; None: there is none."""
    try:
        load_bundle(bundle)
        return read_verdict(bundle)
    except BundleError:
        return None


def _put_in_place(made: Path, bundle: Path) -> None:
    """Let the bundle appear at once, also where the work folder lies on another disk."""
    # On the disk of the bundles, but not among them: a gateway that looks for new ones must not find half of one.
    unfinished = bundle.parent / WORK_FOLDER / f"{bundle.name}.new"
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(made, unfinished)
    if bundle.exists():
        shutil.rmtree(bundle)
    os.replace(unfinished, bundle)
