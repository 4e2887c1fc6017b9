"""What a fitted catalogue believes of prompts and rows, as the gateway would: from the text of a prompt alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.abilities.graded_columns import RowName
from training.demand.catalogue import Catalogue
from training.network.encoding import EncodedPrompts
from training.network.input_scaler import InputScaler

Floats = npt.NDArray[np.float64]
_STD_BOUNDS = (0.02, 3.0)
_VISIBLE_BOUNDS, _REASONING_BOUNDS = (0.0, 11.5), (-3.0, 11.5)


@dataclass(frozen=True, slots=True, eq=False)
class AskedWork:
    """Beliefs about `n` prompts and `r` rows; every array has shape (n, r).

    Args:
        chance: P(good answer), 0..1.
        visible, reasoning: Medians of the tokens of the visible answer and of the reasoning.
        expected_tokens: Expected completion tokens of one call, reasoning included.
    """

    chance: Floats
    visible: Floats
    reasoning: Floats
    expected_tokens: Floats


def ask_catalogue(
    catalogue: Catalogue, scaler: InputScaler, encoded: EncodedPrompts, rows: Sequence[RowName]
) -> AskedWork:
    """Return the beliefs about encoded prompts.

    A row that the catalogue does not have is believed to be as its model at the default effort. A model that it does
    not have gets the rows of a model of which nothing is known.
    """
    models = catalogue.models
    demand = catalogue.demand_of(scaler.transform(encoded)).astype(np.float64)
    places = [models.find(f"{model}@{effort}" if effort else model) for model, effort in rows]

    def of_rows(model_rows: npt.NDArray[np.float32], default: npt.NDArray[np.float32]) -> Floats:
        rows = np.stack([default if place is None else model_rows[place] for place in places])
        return np.asarray(demand @ rows.T)

    log_odds = of_rows(models.quality, models.default_ability)
    std = of_rows(models.quality_std, models.default_std).clip(*_STD_BOUNDS)
    visible = np.exp(of_rows(models.visible, models.default_visible).clip(*_VISIBLE_BOUNDS))
    reasoning = np.exp(of_rows(models.reasoning, models.default_reasoning).clip(*_REASONING_BOUNDS))
    of_median = np.exp(models.log_std.astype(np.float64) ** 2 / 2)
    return AskedWork(
        1 / (1 + np.exp(-log_odds / np.sqrt(1 + np.pi / 8 * std**2))),
        visible,
        reasoning,
        visible * of_median[0] + reasoning * of_median[1],
    )
