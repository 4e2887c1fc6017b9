"""Small sets of catalogue models with known beliefs, for tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from router.arrays import Float32s
from router.catalogue_models import BASES, Basis, CatalogueModels


@dataclass(frozen=True, slots=True)
class Row:
    """One model whose beliefs are the same for every prompt.

    Args:
        name: `vendor/model` or `vendor/model@effort`.
        log_odds, std: Log odds of a good answer and their standard deviation.
        visible, reasoning: Medians of the tokens.
        basis, n: Basis, and number of answers or scores behind it.
    """

    name: str
    log_odds: float = 1.0
    std: float = 0.5
    visible: float = 200.0
    reasoning: float = 1_000.0
    basis: Basis = "own_grades"
    n: int = 1_204


def catalogue_of(
    rows: Sequence[Row], n_demands: int = 5, log_std: float = 0.5, abilities: Mapping[str, float] | None = None
) -> CatalogueModels:
    """Return catalogue models. The last demand has to be a constant 1; no other one counts."""

    def constant(values: Sequence[float]) -> Float32s:
        array = np.zeros((len(values), n_demands), np.float32)
        array[:, -1] = values
        return array

    def count(basis: Basis) -> np.ndarray:
        return np.array([row.n if row.basis == basis else 0 for row in rows], np.uint32)

    return CatalogueModels(
        names=tuple(row.name for row in rows),
        quality=constant([row.log_odds for row in rows]),
        quality_std=constant([row.std for row in rows]),
        visible=constant(np.log([row.visible for row in rows]).tolist()),
        reasoning=constant(np.log([row.reasoning for row in rows]).tolist()),
        log_std=np.full(2, log_std, np.float32),
        basis=np.array([BASES.index(row.basis) for row in rows], np.uint8),
        n_grades=count("own_grades"),
        n_scores=count("published_scores"),
        default_ability=constant([0.5])[0],
        default_std=constant([1.5])[0],
        default_visible=constant([np.log(300.0)])[0],
        default_reasoning=constant([np.log(500.0)])[0],
        general=np.linspace(0, 1, len(rows)).astype(np.float32),
        general_rows=constant([-1.0, 4.0]),
        abilities=abilities or {},
    )
