"""A plain learner: the judged answers of the logs join the first bundle's corpus, and the champion is fitted further on both."""

import hashlib
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from training.settings import FitSettings
from training.simulate.world import PROVIDER
from training.telemetry_reader import read_logs
from training.train import PRICES_FILE, Progress, train_bundle

_FEWEST_JUDGED = 30


class RefitLearner:
    """Learns from prompts whose text was logged.

    Args:
        logs: Folder of the exports.
        start_corpus: What the first bundle was fitted to.
        out: Folder that the bundles are put into.
        seed: Of the fits.
        progress: Where to show how far a fit is.
        settings: Of the fits.
    """

    def __init__(self, logs: Path, start_corpus: Path, out: Path, seed: int, progress: Progress, settings: FitSettings) -> None:
        self._logs, self._start_corpus, self._out = logs, start_corpus, out
        self._seed, self._progress, self._settings = seed, progress, settings

    def learn(self, day: int, until: datetime, champion: Path) -> Path | None:
        """Return the champion fitted further; None: too few answers were judged."""
        logs = read_logs(self._logs, until=until)
        judged = ~np.isnan(logs.reward)
        if judged.sum() < _FEWEST_JUDGED:
            return None
        prompt_ids = [f"log-{hashlib.sha256(str(text).encode()).hexdigest()[:16]}" for text in logs.prompts[judged]]
        frame = pd.DataFrame(
            {
                "source": "logs",
                "prompt_id": prompt_ids,
                "task": "unknown",
                "prompt": logs.prompts[judged],
                "model": np.array([lane_id.removeprefix(f"{PROVIDER}/") for lane_id in logs.lane_ids])[logs.chosen[judged]],
                "score": logs.reward[judged],
                "completion_tokens": logs.answer_tokens[judged],
            }
        )
        corpus = self._out / "corpus"
        corpus.mkdir(parents=True, exist_ok=True)
        answers = frame.groupby(["source", "prompt_id", "model"], as_index=False)[["score", "completion_tokens"]].mean()
        self._join(corpus, "prompts.parquet", frame[["source", "prompt_id", "task", "prompt"]].drop_duplicates("prompt_id"))
        self._join(corpus, "responses.parquet", answers)
        (corpus / PRICES_FILE).write_text((self._start_corpus / PRICES_FILE).read_text(encoding="utf-8"), encoding="utf-8")
        bundle = self._out / f"night-{day:03}"
        train_bundle(corpus, bundle, champion, self._seed, self._progress, self._settings)
        return bundle

    def _join(self, corpus: Path, name: str, logged: pd.DataFrame) -> None:
        pd.concat([pd.read_parquet(self._start_corpus / name), logged], ignore_index=True).to_parquet(corpus / name)
