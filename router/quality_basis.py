"""The evidence that a lane's quality rests on, in a word and in words for people."""

from datetime import date
from typing import Final, Literal

QualityBasis = Literal["own_grades", "published_scores", "class", "trained", "calibrated", "prior"]
"""Evidence about a lane's model:

- `own_grades`: graded answers of the model, in the bundle.
- `published_scores`: published scores of the model, in the bundle.
- `class`: its price, family and date, or the class that the catalogue puts it into.
- `trained`: the bundle's graph was trained on its graded answers.
- `calibrated`: graded answers of its own, by `llmdeal calibrate`.
- `prior`: price and family, what the operator set, or nothing.
"""
_VAGUE: Final[frozenset[QualityBasis]] = frozenset({"published_scores", "class", "prior"})


def describe_basis(basis: QualityBasis, n_evidence: int, graded_on: date | None = None) -> str:
    """Return the basis in words, such as `own grades (1,204 answers)`.

    Args:
        basis: Basis of the quality.
        n_evidence: Number of graded answers, or of published scores; 0: it is not counted.
        graded_on: Day of the newest graded answer of the operator; None: unknown, or there is none.
    """
    if basis == "calibrated":
        many = "answer" if n_evidence == 1 else "answers"
        return f"own grades ({n_evidence:,} {many}{'' if graded_on is None else f', {graded_on}'})"
    noun = "" if basis == "published_scores" else " answer" if n_evidence == 1 else " answers"
    return basis.replace("_", " ") + (f" ({n_evidence:,}{noun})" if n_evidence else "")


def how_to_sharpen(basis: QualityBasis, vendor_model: str) -> str | None:
    """Return the command that would make the belief about a model surer; None: the bundle has graded its answers."""
    return f"llmdeal calibrate {vendor_model}" if basis in _VAGUE else None
