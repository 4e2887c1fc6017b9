"""The first bundle of a simulation.

It is fitted to answers of other models to other prompts. About the lanes it knows only their price and family.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from training.corpus.graded_corpus import PRICES_FILE, Corpus
from training.errors import SettingsError
from training.network.base_bundle import read_base_bundle
from training.progress import Progress
from training.settings import FitSettings
from training.simulate.world import Ints, World
from training.train import train_bundle


def write_start_corpus(world: World, prices_file: Path, out: Path) -> Path:
    """Write the corpus of the first bundle.

    It holds the start prompts, with the grades of models that are not lanes.

    Raises:
        SettingsError: No other model was graded on them.
    """
    others = np.setdiff1d(np.arange(len(world.corpus.trained_names)), world.columns)
    rows = world.split.start[~np.isnan(world.corpus.scores[np.ix_(world.split.start, others)]).all(axis=1)]
    if not len(rows):
        raise SettingsError(
            "scenario: the start prompts have grades of the lanes only: leave some models out of model_names"
        )
    out.mkdir(parents=True, exist_ok=True)
    prompts, responses = corpus_frames(world.corpus, rows, others)
    prompts.to_parquet(out / "prompts.parquet")
    responses.to_parquet(out / "responses.parquet")
    (out / PRICES_FILE).write_text(prices_file.read_text(encoding="utf-8"), encoding="utf-8")
    return out


def corpus_frames(corpus: Corpus, rows: Ints, columns: Ints) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return prompts and responses of a part of a corpus, in the corpus format."""
    prompts = pd.DataFrame(
        {
            "source": corpus.sources[rows],
            "prompt_id": [corpus.prompt_ids[row] for row in rows],
            "task": corpus.tasks[rows],
            "prompt": [corpus.prompts[row] for row in rows],
        }
    )
    place, model = np.nonzero(~np.isnan(corpus.scores[np.ix_(rows, columns)]))
    responses = pd.DataFrame(
        {
            "source": prompts["source"].to_numpy()[place],
            "prompt_id": prompts["prompt_id"].to_numpy()[place],
            "model": np.array(corpus.trained_names)[columns[model]],
            "score": corpus.scores[rows[place], columns[model]],
            "completion_tokens": corpus.completion_tokens[rows[place], columns[model]],
        }
    )
    return prompts, responses


def fit_start_bundle(
    start_corpus: Path, table_of: Path, out: Path, seed: int, progress: Progress, settings: FitSettings | None = None
) -> Path:
    """Fit the first bundle from nothing but the embedding table of another bundle.

    That table was made without grades.

    Args:
        start_corpus: Folder that `write_start_corpus` wrote.
        table_of: Bundle to take the embedding table from.
        out: Folder of the new bundle.
        seed: Seed of the fit.
        progress: Display of the stages.
        settings: Settings of the fit; None: those of `table_of`.

    Raises:
        TrainingError: The corpus cannot be learned from.
    """
    base = read_base_bundle(table_of)
    train_bundle(start_corpus, out, None, seed, progress, settings or base.settings, base.table)
    return out
