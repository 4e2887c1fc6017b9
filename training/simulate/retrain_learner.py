"""The product's own learner: `llmdeal retrain` on the logs so far.

With the gate on, a challenger is used only if the gate finds it better.
"""

import shutil
from datetime import datetime
from pathlib import Path

from router.telemetry_schema import EXPORT_MANIFEST
from training.errors import TelemetryError
from training.progress import Progress
from training.retrain.job import RetrainPlan, retrain
from training.retrain.settings import RetrainSettings


class RetrainLearner:
    """Retrains every night on the logs of the last days.

    Older logs count for less, because they may be outdated.

    Args:
        logs: Folder with the exports.
        start_corpus: Corpus of the first bundle, so that later bundles keep its knowledge.
        out: Folder for the new bundles.
        settings: Settings of the retraining.
        progress: Display of the stages.
        follows_gate: Whether a challenger must be proven better; if not, every challenger is used.
        window_days: Number of days of logs to read; a single export is read whole.
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
        """Return the challenger; None: there is too little to learn from, or the gate rejected it."""
        plan = RetrainPlan(self._recent_logs(), champion, self._out, corpus=self._start_corpus, settings=self._settings)
        try:
            result = retrain(plan, self._progress)
        except TelemetryError:  # too few judged answers yet
            return None
        return result.bundle if result.verdict.is_better or not self._follows_gate else None

    def _recent_logs(self) -> Path:
        """Return a folder with the exports of the last days."""
        if (self._logs / EXPORT_MANIFEST).is_file():
            return self._logs
        recent = self._out / "recent-logs"
        shutil.rmtree(recent, ignore_errors=True)
        recent.mkdir(parents=True)
        for night in sorted(self._logs.iterdir())[-self._window_days :]:
            (recent / night.name).symlink_to(night.resolve())
        return recent
