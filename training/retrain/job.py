"""`llmdeal retrain`: reads logs, learns, writes a challenger with a verdict. Resumable, idempotent, one at a time."""

import os
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from router.account_correction import AccountCorrections
from router.bundle import load_bundle
from router.errors import BundleError
from router.log_odds import logit
from router.verdict import Verdict, read_verdict, write_verdict
from training.bundle.writer import check_bundle_place
from training.corpus.graded_corpus import Corpus, read_corpus
from training.progress import Progress
from training.promotion.registry import BundleRegistry
from training.retrain.accounts import (
    LearnedAccounts,
    corrections_of_champion,
    default_corrections_folder,
    fit_accounts_to_all,
    learn_accounts,
)
from training.retrain.catalogue_rows import move_rows
from training.retrain.challenger import write_challenger
from training.retrain.champion import Champion, read_champion
from training.retrain.correction import LogitSpace
from training.retrain.evidence import ChampionView
from training.retrain.evidence_table import Evidence, Ints, assemble_evidence
from training.retrain.fingerprint import challenger_name, fingerprint_of
from training.retrain.judging import (
    Contestants,
    LaterConversations,
    TestRequests,
    judge,
    read_test_requests,
)
from training.retrain.lane_models import LaneModels, find_lane_models
from training.retrain.machinery import Machinery, ThisProcess, part_name
from training.retrain.recent import WatchedLogs, repeat_watch
from training.retrain.recording import record_of, record_run
from training.retrain.report import make_report
from training.retrain.settings import RetrainSettings
from training.retrain.stages import Outcome, check_enough, keep_models, learn, learn_from_all, learnable
from training.retrain.starting_bundle import can_start, find_root, seen_until
from training.retrain.work_folder import WorkFolder, only_one
from training.telemetry.reader import LogReader, open_logs
from training.telemetry.signals import RequestSignals

WORK_FOLDER = ".retrain"


@dataclass(frozen=True, slots=True)
class RetrainPlan:
    """Plan of a retraining: its inputs, folders and settings.

    Args:
        logs: Folder of an export, or of several exports.
        champion: Folder of the bundle in use.
        out: Folder of bundles; the challenger becomes a folder in it.
        corpus: Folder of graded answers that keep what the champion learned from them; None: there are none.
        work: Work folder of checkpoints; None: `.retrain` in `out`.
        account_corrections: Folder of the account corrections that the champion is served with; None:
            `account_corrections` next to `out`.
        settings: Settings of the retraining.
        start: Folder of the bundle that learning starts from; None: the trained bundle that the champion descends
            from, if that is possible, else the champion.
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
class _Inputs:
    """Everything that decides the result of a retraining, except the logs themselves.

    Args:
        plan: Plan of the retraining.
        champion: Bundle in use.
        start: Bundle that learning starts from, if that is possible.
        corpus: Graded answers; None: there are none.
        champion_corrections: Account corrections that the champion is served with; None: there are none.
        fingerprint: Hash of all inputs, the logs included.
    """

    plan: RetrainPlan
    champion: Champion
    start: Champion
    corpus: Corpus | None
    champion_corrections: AccountCorrections | None
    fingerprint: str

    @classmethod
    def read(cls, plan: RetrainPlan) -> Self:
        champion = read_champion(plan.champion)
        start = read_champion(plan.start) if plan.start else find_root(champion, [plan.out])
        corpus = read_corpus(plan.corpus) if plan.corpus else None
        folder = plan.account_corrections or default_corrections_folder(plan.out)
        corrections = corrections_of_champion(champion.bundle, folder)
        fingerprint = fingerprint_of(plan.logs, champion, start, corpus, plan.settings, corrections)
        return cls(plan, champion, start, corpus, corrections, fingerprint)


@dataclass(frozen=True, slots=True, eq=False)
class _Reading:
    """The evidence in the logs, as the bundle that learning starts from reads it.

    Args:
        work: Work folder of the checkpoints.
        start: Bundle that learning starts from.
        models, all_models: Models of the lanes: those that can be learned, and all of them.
        evidence, all_evidence: Evidence about those models.
        column: Column among all models -> column among those that can be learned; -1: it cannot be learned.
        signals: All feedback of the requests.
    """

    work: WorkFolder
    start: Champion
    models: LaneModels
    all_models: LaneModels
    evidence: Evidence
    all_evidence: Evidence
    column: Ints
    signals: RequestSignals

    @property
    def view(self) -> ChampionView:
        """The start, with its models on the lanes of the logs."""
        return ChampionView(self.start.bundle.version, self.start.parts, self.models)


@dataclass(frozen=True, slots=True, eq=False)
class _Challenger:
    """The challenger of a retraining, in the work folder.

    Args:
        folder: Folder of the bundle.
        outcome: Result of the learning steps on the training and calibrating conversations: the judged challenger.
        judged_accounts: Account corrections of the judged challenger.
        record: Entries of the manifest about the logs.
    """

    folder: Path
    outcome: Outcome
    judged_accounts: LearnedAccounts
    record: dict[str, object]


@dataclass(frozen=True, slots=True)
class RetrainResult:
    """Result of a retraining.

    Args:
        bundle: Folder of the challenger.
        verdict: Verdict of the gate.
        is_new: False if an earlier run had written the same challenger.
        fingerprint: Hash of all inputs.
    """

    bundle: Path
    verdict: Verdict
    is_new: bool
    fingerprint: str


def retrain(
    plan: RetrainPlan, progress: Progress, machinery: Machinery | None = None, registry: BundleRegistry | None = None
) -> RetrainResult:
    """Learn from the logs and write a challenger with a verdict.

    Args:
        plan: Plan of the retraining.
        progress: Display of the progress.
        machinery: Machinery that does the heavy work; None: this process.
        registry: Registry that records the run; None: the run is not recorded.

    Raises:
        TelemetryError, CorpusError: The logs or the corpus cannot be used, or there is too little to learn from;
            nothing is written.
        router.errors.BundleError: The champion is unusable.
        SettingsError: Another retraining is running in the work folder, a folder cannot be written, or the registry
            cannot be reached. The work folder keeps the checkpoints.
        ParityError: The exported graph differs from the fitted network; nothing is written.
    """
    machinery = machinery or ThisProcess()
    inputs = _Inputs.read(plan)
    fingerprint = inputs.fingerprint
    bundle = plan.out / challenger_name(inputs.champion, fingerprint)
    work_root = plan.work or plan.out / WORK_FOLDER
    with only_one(work_root):
        verdict = _verdict_on(bundle)
        if verdict is not None:
            return RetrainResult(bundle, verdict, False, fingerprint)
        check_bundle_place(bundle)
        reading = _read(inputs, work_root / fingerprint[:16], progress, machinery)
        challenger = _learn_challenger(inputs, reading, bundle.name, progress)
        with progress.stage("Judging on later conversations", None):
            versions = (load_bundle(challenger.folder).version, inputs.champion.bundle.version)
            logs = open_logs(plan.logs, rules=plan.settings.reward_rules)
            requests = _read_later(inputs, reading, logs, challenger, versions[0])
            verdict = judge(requests, versions, datetime.now(UTC), plan.settings, machinery.learner(plan.settings))
            write_verdict(challenger.folder, verdict)
        if registry is not None:
            with progress.stage("Recording", None):
                report, record = make_report(requests), challenger.record
                folder = challenger.folder
                record_run(registry, fingerprint, folder, plan.champion, plan.settings, record, verdict, report)
        _put_in_place(challenger.folder, bundle)
        for folder in work_root.glob(f"{fingerprint[:16]}*"):
            shutil.rmtree(folder, ignore_errors=True)
    return RetrainResult(bundle, verdict, True, fingerprint)


def _learn_challenger(inputs: _Inputs, reading: _Reading, name: str, progress: Progress) -> _Challenger:
    """Learn from the evidence and write the challenger under this name into the work folder."""
    settings, corpus = inputs.plan.settings, inputs.corpus
    work, start, evidence = reading.work, reading.start, reading.evidence
    folder = work.folder / name
    with progress.stage("Learning", 1) as advance:
        outcome = learn(start, evidence, reading.models, corpus, settings, work, advance)
    with progress.stage("Correcting for accounts", None):
        judged_accounts = learn_accounts(start, outcome.learned, evidence, settings)
    with progress.stage("Learning from all of it", 1) as advance:
        learned = learn_from_all(start, evidence, reading.models, corpus, settings, outcome, work, advance)
        accounts = fit_accounts_to_all(start, learned, evidence, settings, judged_accounts)
        watched = WatchedLogs(reading.all_evidence, reading.signals, reading.all_models, reading.column)
        recent = repeat_watch(start, outcome.learned, learned, watched)
    moved = move_rows(
        _with_catalogue(inputs.champion, start),
        reading.all_evidence,
        reading.all_models,
        settings,
        has_lengths=start.bundle.version == inputs.champion.bundle.version,
    )
    record = record_of(evidence, outcome, accounts, corpus)
    record |= {"catalogue_shifts": moved.shifts, "catalogue_lengths": moved.lengths}
    with progress.stage("Exporting and proving parity", None):
        write_challenger(folder, start, learned, record, recent, moved.models, accounts.fitted)
    return _Challenger(folder, outcome, judged_accounts, record)


def _with_catalogue(champion: Champion, start: Champion) -> Champion:
    """Return the bundle whose catalogue models the challenger gets: the one in use, if the start's graph fits them."""
    return champion if champion.bundle.demand_names == start.bundle.demand_names else start


def _read(inputs: _Inputs, work_folder: Path, progress: Progress, machinery: Machinery) -> _Reading:
    """Read the logs with the start; if learning cannot start from it, read them with the champion."""
    plan, start, champion = inputs.plan, inputs.start, inputs.champion
    reading = _read_from(inputs, start, WorkFolder(work_folder), progress, machinery)
    if plan.start is None and not can_start(start, champion, reading.all_evidence, reading.models):
        other_work = WorkFolder(work_folder.with_name(f"{work_folder.name}-champion"))
        reading = _read_from(inputs, champion, other_work, progress, machinery)
    check_enough(reading.all_evidence, plan.logs, plan.settings)
    return reading


def _read_from(
    inputs: _Inputs, start: Champion, work: WorkFolder, progress: Progress, machinery: Machinery
) -> _Reading:
    logs, settings = inputs.plan.logs, inputs.plan.settings
    with progress.stage("Finding requests and rewards", None):
        reader = open_logs(logs, rules=settings.reward_rules, corrects_errors=True)
        models = find_lane_models(logs, reader.lane_ids, reader.trained_names, start.trained_names)
    view = ChampionView(start.bundle.version, start.parts, models)
    machinery.gather(reader, view, settings.rows_per_part, work, progress)
    starts = range(0, len(reader), settings.rows_per_part)
    parts = [work.path(part_name(first)) for first in starts]
    evidence = assemble_evidence(parts, work, settings, seen_until(inputs.champion))
    column = learnable(evidence, models, settings)
    kept = evidence.with_columns(column)
    return _Reading(work, start, keep_models(models, column), models, kept, evidence, column, reader.signals)


def _read_later(
    inputs: _Inputs, reading: _Reading, logs: LogReader, challenger: _Challenger, version: str
) -> TestRequests:
    """Return the requests of the test with both bundles' beliefs; `version` is the challenger's."""
    plan, champion = inputs.plan, inputs.champion
    later = LaterConversations(reading.evidence.test_since, reading.evidence.test_conversations)
    view, models = reading.view, reading.view.models
    if champion.bundle.version != reading.start.bundle.version:
        models = find_lane_models(plan.logs, logs.lane_ids, logs.trained_names, champion.trained_names)
    in_use = ChampionView(champion.bundle.version, champion.parts, models)
    space = LogitSpace.of(logit(reading.start.reference.quality))
    corrections = (inputs.champion_corrections, challenger.judged_accounts.for_bundle(version))
    contestants = Contestants(in_use, view, space, challenger.outcome, corrections)
    return read_test_requests(logs, later, contestants, plan.settings.rows_per_part)


def _verdict_on(bundle: Path) -> Verdict | None:
    """Return the verdict on a complete bundle that exists already; None: there is no such bundle or verdict."""
    try:
        load_bundle(bundle)
        return read_verdict(bundle)
    except BundleError:
        return None


def _put_in_place(finished: Path, bundle: Path) -> None:
    """Move the finished bundle to its place in one step, even if the work folder is on another disk."""
    # The copy lies on the disk of the bundles but not among them, so that no gateway reads an incomplete bundle.
    unfinished = bundle.parent / WORK_FOLDER / f"{bundle.name}.new"
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(finished, unfinished)
    if bundle.exists():
        shutil.rmtree(bundle)
    os.replace(unfinished, bundle)
