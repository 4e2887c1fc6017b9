"""The product's own learner: `llmdeal retrain` on all that was logged so far, followed where its gate lets the challenger pass."""

import shutil
from datetime import datetime
from pathlib import Path

from router.telemetry_schema import EXPORT_MANIFEST
from training.errors import TelemetryError
from training.progress import Progress
from training.retrain.job import RetrainPlan, retrain
from training.retrain.settings import RetrainSettings


class RetrainLearner:
    """Retrains every night on the logs of the last days, of which the older ones count for less: they may not be true any more.

    Args:
        logs: Folder of the exports.
        start_corpus: What the first bundle was fitted to; it keeps what that knew.
        out: Folder that the bundles are put into.
        settings: Of the retraining.
        progress: Where to show how far it is.
        follows_gate: Whether a challenger has to be proven better; else every one is used.
        window_days: Of how many days the logs are read; where they are one export, all of it is.
    """

    def __init__(
        self,
        logs: Path,
        start_corpus: Path,
        out: Path,
        settings: RetrainSettings,
        progress: Progress,
        follows_gate: bool,
        window_days: int,
    ) -> None:
        self._logs, self._start_corpus, self._out = logs, start_corpus, out
        self._settings, self._progress = settings, progress
        self._follows_gate, self._window_days = follows_gate, window_days

    def learn(self, day: int, until: datetime, champion: Path) -> Path | None:
        """Return the challenger; None: there is too little to learn from, or the gate held it back."""
        plan = RetrainPlan(self._recent_logs(), champion, self._out, corpus=self._start_corpus, settings=self._settings)
        try:
            result = retrain(plan, self._progress)
        except TelemetryError:  # too few judged answers yet
            return None
        return result.bundle if result.verdict.is_better or not self._follows_gate else None

    def _recent_logs(self) -> Path:
        """Return a folder of the exports of the last days."""
        if (self._logs / EXPORT_MANIFEST).is_file():
            return self._logs
        recent = self._out / "recent-logs"
        shutil.rmtree(recent, ignore_errors=True)
        recent.mkdir(parents=True)
        for night in sorted(self._logs.iterdir())[-self._window_days :]:
            (recent / night.name).symlink_to(night.resolve())
        return recent
