"""What the predicted quality of lanes rests on, for tables of lanes and of candidates. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from router.lane_table import LaneTable
from router.quality_basis import QualityBasis, how_to_sharpen

MEANINGS: Final[Mapping[str, str]] = {
    "own_grades": "graded answers of the model, in the bundle",
    "published_scores": "published scores of the model",
    "class": "only its price, family and date are known",
    "trained": "the quality model was trained on its answers",
    "calibrated": "placed by its graded answers",
    "prior": "only family and price are known",
    "vectors": "makes vectors",
}
"""Basis -> its meaning in words."""


@dataclass(frozen=True, slots=True)
class LaneBasis:
    """The basis of one lane's quality.

    Args:
        word: Basis, as in `router.quality_basis`; `vectors` for embeddings.
        text: The same in words, with the number of answers or scores.
        sharpen_with: Command that makes the prediction surer; None: none is needed.
        reasoning_tokens: Expected reasoning tokens of the request; None: unknown.
    """

    word: QualityBasis | Literal["vectors"]
    text: str
    sharpen_with: str | None
    reasoning_tokens: int | None = None

    @property
    def meaning(self) -> str:
        """The meaning of the basis, and what makes the prediction surer."""
        hint = "" if self.sharpen_with is None else f"; make it surer with {self.sharpen_with}"
        return MEANINGS[self.word] + hint


NO_BASIS: Final = LaneBasis("vectors", "vectors", None)


def bases_of(table: LaneTable) -> list[LaneBasis]:
    """Return the basis of each lane's quality, in the order of the rows."""
    bases = []
    for row, lane in enumerate(table.lanes):
        word = table.quality_basis(row)
        bases.append(LaneBasis(word, table.describe_basis(row), how_to_sharpen(word, lane.vendor_model)))
    return bases
