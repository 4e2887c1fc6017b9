"""Writes what a bundle believes about every prompt of a file and every one of its models."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pandas as pd

from router.bundle import load_bundle
from router.context import RouteContext
from router.onnx_quality_model import OnnxQualityModel
from router.quality_model import QualityModel
from training.atomic_write import replace_file
from training.corpus.graded_corpus import read_prompts
from training.network.fitted_model import Beliefs
from training.progress import Progress


def predict_file(bundle_folder: Path, prompts_path: Path, out: Path, progress: Progress) -> int:
    """Write a bundle's predictions to a Parquet file, and return its number of rows.

    There is one row for each prompt and model: prompt_id, model, quality (0..1), completion_tokens.

    Raises:
        CorpusError: The prompts are unusable; the message names the file, the row and the fix. Nothing is written.
        router.errors.BundleError: The bundle is unusable.
        SettingsError: `out` cannot be written.
    """
    quality_model = OnnxQualityModel(load_bundle(bundle_folder))
    prompt_ids, prompts = read_prompts(prompts_path)
    with progress.stage("Predicting", len(prompts)) as advance:
        beliefs = ask(quality_model, [RouteContext.from_prompt(prompt) for prompt in prompts], lambda: advance(1))
    table = predictions_table(prompt_ids, quality_model.trained_names, beliefs)
    replace_file(out, lambda stream: _write_parquet(table, stream))
    return len(table)


def ask(
    quality_model: QualityModel, contexts: Sequence[RouteContext], advance: Callable[[], None] = lambda: None
) -> Beliefs:
    """Return the served model's beliefs about all contexts, with one call for each, as in production."""
    shape = (len(contexts), len(quality_model.trained_names))
    quality, quality_std, tokens = (np.empty(shape, np.float32) for _ in range(3))
    difficulty = np.empty(len(contexts), np.float32)
    for row, context in enumerate(contexts):
        prediction = quality_model.predict(context)
        quality[row], quality_std[row] = prediction.quality, prediction.quality_std
        tokens[row], difficulty[row] = prediction.completion_tokens, prediction.difficulty
        advance()
    return Beliefs(quality, quality_std, tokens, difficulty)


def predictions_table(prompt_ids: Sequence[str], trained_names: Sequence[str], beliefs: Beliefs) -> pd.DataFrame:
    """Return beliefs as a table with one row per prompt and model."""
    return pd.DataFrame(
        {
            "prompt_id": np.repeat(np.array(prompt_ids, dtype=object), len(trained_names)),
            "model": np.tile(np.array(trained_names, dtype=object), len(prompt_ids)),
            "quality": beliefs.quality.ravel(),
            "completion_tokens": beliefs.completion_tokens.ravel(),
        }
    )


def _write_parquet(table: pd.DataFrame, stream: BinaryIO) -> None:
    table.to_parquet(cast("str", stream), index=False)  # the stubs know only paths
