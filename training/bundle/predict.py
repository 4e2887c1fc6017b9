"""Writes what a bundle believes about every prompt of a file and every one of its models, or of others by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pandas as pd

from router.bundle import Bundle, load_bundle
from router.context import RouteContext
from router.expectation import LaneState, expect_outcomes
from router.lane import Lane
from router.lane_table import LaneTable
from router.onnx_quality_model import OnnxQualityModel
from router.price_table import Price
from router.quality_model import QualityModel
from training.abilities.list_prices import ListPrices
from training.atomic_write import replace_file
from training.corpus.graded_corpus import read_prompts
from training.errors import CorpusError
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


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model to predict.

    Args:
        name: `vendor/model`, or `vendor/model@effort`.
        input_usd_per_mtok, output_usd_per_mtok: Prices; None: unknown, then its costs are unknown too.
    """

    name: str
    input_usd_per_mtok: Decimal | None
    output_usd_per_mtok: Decimal | None


def read_models(path: Path) -> list[NamedModel]:
    """Read a CSV file with the column `model` and, if wanted, `input_usd_per_mtok` and `output_usd_per_mtok`.

    Models without prices get the list prices of the package genai-prices, if it has them.

    Raises:
        CorpusError: The file is missing or malformed; the message names the file, the row and the fix.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as problem:
        raise CorpusError(path, f"cannot be read ({problem})", "give a CSV with the column model") from problem
    if "model" not in table:
        raise CorpusError(path, "has no column 'model'", "write model in its first line")
    names = table["model"].str.strip()
    for row, name in enumerate(names):
        if not name or (names == name).sum() > 1:
            raise CorpusError(path, f"model {name!r} is empty or named twice", "name each model once", row)
    packaged = ListPrices()
    models = []
    for row, name in enumerate(names):
        stated = [_rate(table, column, row, path) for column in ("input_usd_per_mtok", "output_usd_per_mtok")]
        listed = packaged.price_of(name.partition("@")[0]) if None in stated else None
        if listed is not None:
            stated = [Decimal(str(rate)) for rate in listed]
        models.append(NamedModel(name, *(stated if None not in stated else (None, None))))
    return models


def _rate(table: pd.DataFrame, column: str, row: int, path: Path) -> Decimal | None:
    text = str(table[column].iloc[row]).strip() if column in table else ""
    try:
        rate = Decimal(text) if text else None
        is_good = rate is None or (rate.is_finite() and rate >= 0)
    except ArithmeticError:
        is_good = False
    if not is_good:
        raise CorpusError(path, f"{column} {text!r} is no price", "write a number of at least 0, or nothing", row)
    return rate


def predict_models_file(
    bundle_folder: Path, prompts_path: Path, models_path: Path, out: Path, progress: Progress
) -> int:
    """Write a bundle's beliefs about named models to a Parquet file, and return its number of rows.

    There is one row for each prompt and model: prompt_id, model, quality (0..1), quality_std, completion_tokens
    (reasoning included), reasoning_tokens (NaN: unknown), cost_usd (of one call; NaN: no price) and basis.

    Raises:
        CorpusError: The prompts or the models are unusable; nothing is written.
        router.errors.BundleError: The bundle is unusable.
        SettingsError: `out` cannot be written.
    """
    bundle = load_bundle(bundle_folder)
    models = read_models(models_path)
    prompt_ids, prompts = read_prompts(prompts_path)
    with progress.stage("Predicting", len(prompts)) as advance:
        contexts = [RouteContext.from_prompt(prompt) for prompt in prompts]
        table = ask_about_models(bundle, prompt_ids, contexts, models, lambda: advance(1))
    replace_file(out, lambda stream: _write_parquet(table, stream))
    return len(table)


def ask_about_models(
    bundle: Bundle,
    prompt_ids: Sequence[str],
    contexts: Sequence[RouteContext],
    models: Sequence[NamedModel],
    advance: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Return the beliefs about named models as the gateway has them about lanes; one row a prompt and model."""
    quality_model = OnnxQualityModel(bundle)
    lanes = [_lane(model) for model in models]
    table = LaneTable.build(lanes, bundle.trained_names, bundle.catalogue)
    state = LaneState.unmeasured(table)
    is_priced = np.array([model.input_usd_per_mtok is not None for model in models])
    basis = np.array([table.quality_basis(row) for row in range(len(lanes))], dtype=object)
    parts = []
    for prompt_id, context in zip(prompt_ids, contexts, strict=True):
        beliefs = expect_outcomes(table, quality_model.predict(context), context, state)
        reasoning = beliefs.reasoning_tokens
        parts.append(
            pd.DataFrame(
                {
                    "prompt_id": prompt_id,
                    "model": [model.name for model in models],
                    "quality": beliefs.quality,
                    "quality_std": beliefs.quality_std,
                    "completion_tokens": beliefs.completion_tokens,
                    "reasoning_tokens": np.nan if reasoning is None else reasoning,
                    "cost_usd": np.where(is_priced, beliefs.cost_usd, np.nan),
                    "basis": basis,
                }
            )
        )
        advance()
    return pd.concat(parts, ignore_index=True)


def _lane(model: NamedModel) -> Lane:
    free = Decimal(0)
    price = Price(model.input_usd_per_mtok or free, model.output_usd_per_mtok or free, "the file of models", None)
    return Lane(model.name, "any", model.name, model.name, "any", price, trained_name=model.name)


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
