"""Writes beliefs about models as rows that are linear in what a prompt demands, as the gateway reads them.

The demand vector of a prompt has these entries, in the order of `demand_names`:

    reference    share of the columns of the reference models' corpora
    unfamiliar   how unlike all graded prompts it is, 0..3
    kind:NAME    share of each column of graded work; they sum to 1 with
    everyday     the share of everyday work
    difficulty   (1 - everyday) * difficulty within the column, log odds
    weak         everyday * log odds of an average open model of 8 billion parameters
    strong       everyday * log odds of the strongest models
    visible      asked * log tokens of the visible answer that is asked for
    reasoning    asked * log tokens of reasoning at medium effort
    longer       (1 - asked) * log tokens more than the average answer to an exam question
    asked        share of everything but exam questions whose answers' lengths are known
    one          1
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from router.catalogue_models import BASES, CatalogueModels
from training.abilities.abilities import Abilities
from training.demand.row_beliefs import RowBeliefs

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

OTHER_DEMANDS = ("everyday", "difficulty", "weak", "strong", "visible", "reasoning", "longer", "asked", "one")
_KIND = "kind:"
_EVERYDAY_STD = 0.35
"""Standard deviation, in log odds, of what the authors of `data/demands` expect, beyond a model's general ability."""
_UNFAMILIAR_STD = 0.5
"""Log odds by which one step of unfamiliarity widens a belief."""
_LEAST_GENERAL, _MOST_GENERAL = -0.5, 1.05
_CLASS_GENERAL = 0.3
"""General ability of a model of which nothing is known: between the small and the strongest."""
_CLASS_STD = 0.35
LOG_STD = (0.6, 0.9)
"""Standard deviations of the logs of visible and of reasoning tokens around their medians."""


def demand_names(columns: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the entries of a demand vector."""
    return ("reference", "unfamiliar", *(f"{_KIND}{column}" for column in columns), *OTHER_DEMANDS)


def catalogue_models(beliefs: RowBeliefs, abilities: Abilities, is_reference: npt.NDArray[np.bool_]) -> CatalogueModels:
    """Return the rows of all models, and those of models of which only the general ability or nothing is known.

    Args:
        beliefs: Beliefs about all rows.
        abilities: Abilities that they come from.
        is_reference: Whether a column belongs to the reference models' corpora, shape (c,).
    """
    columns = beliefs.columns
    names = demand_names(columns)
    place = {name: number for number, name in enumerate(names)}
    n_rows, n_demands = len(beliefs.rows), len(names)
    kinds = slice(2, 2 + len(columns))
    general = beliefs.general.clip(_LEAST_GENERAL, _MOST_GENERAL)
    quality, std, visible, reasoning = (np.zeros((n_rows, n_demands)) for _ in range(4))
    quality[:, kinds] = beliefs.abilities
    quality[:, place["difficulty"]] = -1
    quality[:, place["weak"]], quality[:, place["strong"]] = 1 - general, general
    std[:, kinds] = beliefs.ability_stds
    std[:, place["everyday"]] = _EVERYDAY_STD
    std[:, place["weak"]], std[:, place["strong"]] = -beliefs.general_std, beliefs.general_std
    std[:, place["unfamiliar"]] = _UNFAMILIAR_STD
    for row, of_columns, of_row, levels, asked in (
        (visible, beliefs.column_visible, beliefs.visible, beliefs.visible_levels, "visible"),
        (reasoning, beliefs.column_reasoning, beliefs.reasoning, beliefs.reasoning_levels, "reasoning"),
    ):
        # Where the prompt says how much it asks for, a column has what is peculiar to the row in it.
        peculiar = of_columns - levels - of_row[:, None]
        row[:, kinds] = np.where(is_reference, of_columns, peculiar) * beliefs.has_lengths
        row[:, place["longer"]] = row[:, place[asked]] = 1
        row[:, place["asked"]] = of_row
    basis, n_grades, n_scores = _bases(abilities)
    line = _general_rows(quality, general, place, kinds)
    default_std = std.mean(axis=0)
    default_std[kinds] = np.sqrt(((quality - line[0] - general[:, None] * line[1])[:, kinds] ** 2).mean(axis=0) + 0.5)
    default_std[place["weak"]], default_std[place["strong"]] = -_CLASS_STD, _CLASS_STD
    return CatalogueModels(
        names=tuple(f"{model}@{effort}" if effort else model for model, effort in beliefs.rows),
        quality=_floats(quality),
        quality_std=_floats(std),
        visible=_floats(visible),
        reasoning=_floats(reasoning),
        log_std=np.array(LOG_STD, np.float32),
        basis=basis,
        n_grades=n_grades,
        n_scores=n_scores,
        default_ability=_floats(line[0] + _CLASS_GENERAL * line[1]),
        default_std=_floats(default_std),
        default_visible=_floats(visible.mean(axis=0)),
        default_reasoning=_floats(np.median(reasoning, axis=0)),
        general=_floats(general),
        general_rows=_floats(line),
    )


def _floats(values: Floats) -> Float32s:
    return np.asarray(values, np.float32)


def _bases(
    abilities: Abilities,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Return the basis of each row, its graded answers and its published scores, each of shape (r,)."""
    n_grades, n_scores = abilities.n_prompts.sum(axis=1), abilities.n_scores
    number = {name: place for place, name in enumerate(BASES)}
    basis = np.where(
        n_grades > 0, number["own_grades"], np.where(n_scores > 0, number["published_scores"], number["class"])
    )
    return basis.astype(np.uint8), n_grades.astype(np.uint32), n_scores.astype(np.uint32)


def _general_rows(quality: Floats, general: Floats, place: dict[str, int], kinds: slice) -> Floats:
    """Return the quality row at general ability 0 and its slope, shape (2, d); least squares over all rows."""
    design = np.stack([np.ones_like(general), general], axis=1)
    rows = np.zeros((2, quality.shape[1]))
    rows[:, kinds] = np.linalg.lstsq(design, quality[:, kinds], rcond=None)[0]
    rows[0, place["difficulty"]] = -1
    rows[:, place["weak"]], rows[:, place["strong"]] = (1, -1), (0, 1)
    return rows
