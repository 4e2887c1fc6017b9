"""Records a retraining in the challenger's manifest and in the registry: counts, settings and hashes, but no text."""

import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from router.verdict import Verdict
from training.corpus.graded_corpus import Corpus
from training.promotion.registry import BundleRegistry, RetrainRun
from training.retrain.accounts import LearnedAccounts
from training.retrain.evidence_table import CALIBRATE, TEST, TRAIN, Evidence
from training.retrain.report import RetrainReport, plot_calibration, plot_quality_cost
from training.retrain.settings import RetrainSettings
from training.retrain.stages import Outcome


def record_run(
    registry: BundleRegistry,
    fingerprint: str,
    bundle: Path,
    champion: Path,
    settings: RetrainSettings,
    record: Mapping[str, Any],
    verdict: Verdict,
    report: RetrainReport,
) -> None:
    """Record a retraining in the registry, with its pictures.

    Args:
        registry: Registry of bundles.
        fingerprint: Hash of everything that decides the retraining.
        bundle: Folder of the challenger.
        champion: Folder of the champion.
        settings: Settings of the retraining.
        record: Entries of the manifest about the logs, from `record_of`.
        verdict: Verdict of the gate.
        report: Figures of both bundles.

    Raises:
        SettingsError: The registry cannot be reached.
    """
    with tempfile.TemporaryDirectory() as scratch:
        pictures = (Path(scratch) / "calibration.png", Path(scratch) / "quality-cost.png")
        plot_calibration(report, pictures[0])
        plot_quality_cost(report, pictures[1])
        parameters = (
            {"champion": verdict.champion_version, "inputs": fingerprint} | _flat(asdict(settings)) | _flat(record)
        )
        registry.record(
            RetrainRun(
                fingerprint, bundle, champion, verdict, parameters, figures_of(record, verdict, report), pictures
            )
        )


def figures_of(record: Mapping[str, Any], verdict: Verdict, report: RetrainReport) -> dict[str, float]:
    """Return name of a figure -> number, without unknown figures."""
    figures: dict[str, float | None] = {
        "is_better": float(verdict.is_better),
        "judged_requests": float(report.n_judged),
        "champion.log_loss": report.champion.log_loss,
        "challenger.log_loss": report.challenger.log_loss,
        "champion.calibration_error": report.champion.calibration_error,
        "challenger.calibration_error": report.challenger.calibration_error,
    }
    if verdict.utility_gain_usd is not None:
        figures |= {f"utility_gain_usd.{end}": value for end, value in asdict(verdict.utility_gain_usd).items()}
    for step in record["steps"]:
        figures |= {
            f"{step['step']}.loss_before": step["loss_before"],
            f"{step['step']}.loss_after": step["loss_after"],
        }
    return {name: value for name, value in figures.items() if value is not None and np.isfinite(value)}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    """Return nested settings as `outer.inner` -> value, without lists."""
    flat: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        elif not isinstance(value, list):
            flat[prefix + name] = value
    return flat


def record_of(
    evidence: Evidence, outcome: Outcome, accounts: LearnedAccounts, corpus: Corpus | None
) -> dict[str, object]:
    """Return the entries of the manifest about the logs: counts, but no account, request or text."""
    choices = (*outcome.choices, accounts.choice)
    rewards = np.bincount(evidence.model, minlength=len(outcome.learned.names))
    return {
        "requests": evidence.n_requests,
        "rewards": len(evidence),
        "rewards_with_text": int(evidence.has_text.sum()),
        "rewards_unusable": evidence.n_unusable,
        "rewards_to_learn": int((evidence.split == TRAIN).sum()),
        "rewards_to_calibrate": int((evidence.split == CALIBRATE).sum()),
        "rewards_to_judge": int((evidence.split == TEST).sum()),
        "rewards_of": {name: int(count) for name, count in zip(outcome.learned.names, rewards, strict=True) if count},
        "first_at": _instant(evidence.first_at),
        "last_at": _instant(evidence.last_at),
        "accounts": accounts.counts,
        "corpus": None if corpus is None else corpus.hashes,
        "steps": [
            {
                "step": choice.step,
                "is_taken": choice.is_taken,
                "rewards": choice.n_rewards,
                "loss_before": _rounded(choice.loss_before),
                "loss_after": _rounded(choice.loss_after),
                "error": _rounded(choice.error),
            }
            for choice in choices
            if choice is not None
        ],
    }


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 6)


def _instant(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="seconds")
