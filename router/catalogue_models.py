"""What a bundle believes of catalogue models: models on sale today, few of which answered its graded questions.

Every belief is linear in what a prompt demands (`Prediction.demand`, the vector v of `d` numbers), so that all
lanes are judged by one product of a matrix and v:

    log odds of a good answer        quality . v        kept within -40..40
    their standard deviation         quality_std . v    kept within 0.02..3
    log of the visible tokens        visible . v        kept within 0..11.5
    log of the reasoning tokens      reasoning . v      kept within -3..11.5; below 0 means practically none

The first entry of v is the share of the prompt that is work of the reference models' kind (exam questions), 0..1. The
second one is how unlike all graded prompts it is: 0 is usual, 3 is very unlike them.
"""

import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, Self, get_args
from weakref import WeakValueDictionary
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from router.arrays import Float32s
from router.errors import BundleError
from router.model_name import plain_name

CATALOGUE_FILE: Final = "catalogue_models.npz"
REFERENCE_DEMAND: Final = "reference"
UNFAMILIAR_DEMAND: Final = "unfamiliar"
FIRST_DEMANDS: Final = (REFERENCE_DEMAND, UNFAMILIAR_DEMAND)
"""Names of the first entries of every demand vector; the others have a meaning for training alone."""
N_BLOCKS: Final = 5
AGAINST, STD, VISIBLE, REASONING, SHRINKAGE = range(N_BLOCKS)
"""Blocks of the stacked rows: log odds of a bad answer, their standard deviation, logs of visible and of reasoning
tokens, and the deviation times the factor of the averaging over it."""
_FACTOR: Final = float(np.sqrt(np.pi / 8))
LEAST: Final = (-40.0, 0.02, 0.0, -3.0, 0.02 * _FACTOR)
MOST: Final = (40.0, 3.0, 11.5, 11.5, 3.0 * _FACTOR)
"""Bounds of the beliefs in the blocks."""
Basis = Literal["own_grades", "published_scores", "class"]
BASES: Final[tuple[Basis, ...]] = get_args(Basis)
_ABILITY_AT_0, _ABILITY_AT_1 = 0.2, 3.5
"""Abilities, in log odds, at general abilities 0 and 1: those of the classes `tiny` and `frontier` of data/models.yaml,
which stand for the two ends of that scale."""
_STD_OF_TRAINED = 0.15
"""Standard deviation of the general ability of a model of which only graded exam answers are known."""
_GRADES_COUNT = 1_000
"""Published scores that count as much as one graded answer, when two spellings of a model compete."""
_REMEDY = "export the bundle again or get a whole copy"
_PER_DEMAND = {"default_ability", "default_std", "default_visible", "default_reasoning"}
_OF_MODELS = {"quality", "quality_std", "visible", "reasoning"}
_FLOATS = _PER_DEMAND | _OF_MODELS | {"log_std", "general", "general_rows"}


class RowSource(NamedTuple):
    """Where the beliefs about one lane's model come from.

    Args:
        place: Place of the model among the catalogue models; None: it is not one of them.
        general, general_std: General ability and its standard deviation, if it is not one of them; None: nothing is
            known of it.
        reasons: Whether it can reason before it answers; it counts only if the model is not one of them.
    """

    place: int | None
    general: float | None = None
    general_std: float = 0.0
    reasons: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class CatalogueModels:
    """Beliefs about `n` catalogue models; the module's text has the formulas.

    Args:
        names: `vendor/model`, or `vendor/model@effort` for an effort that is not the provider's default.
        quality, quality_std, visible, reasoning: Rows of the models, shape (n, d).
        log_std: Standard deviations of the logs of visible and reasoning tokens around their medians, shape (2,).
        basis: Number of each model's basis in `BASES`, shape (n,).
        n_grades, n_scores: Numbers of graded answers and of published scores behind each model, shape (n,).
        default_ability, default_std, default_visible, default_reasoning: Rows of a model of which nothing is known,
            shape (d,).
        general: General ability of the models, shape (n,): 0 is an average open model of 8 billion parameters of 2025,
            1 are the strongest models at the end of 2026.
        general_rows: A model of which only the general ability g is known has the quality row
            general_rows[0] + g * general_rows[1], shape (2, d).
        abilities: Trained name -> ability of the reference models, log odds, in the order of the graph's outputs.
        rewards: Trained name -> judged answers in logs that the graph learned the model from.
    """

    names: tuple[str, ...]
    quality: Float32s
    quality_std: Float32s
    visible: Float32s
    reasoning: Float32s
    log_std: Float32s
    basis: npt.NDArray[np.uint8]
    n_grades: npt.NDArray[np.uint32]
    n_scores: npt.NDArray[np.uint32]
    default_ability: Float32s
    default_std: Float32s
    default_visible: Float32s
    default_reasoning: Float32s
    general: Float32s
    general_rows: Float32s
    abilities: Mapping[str, float] = field(default_factory=dict)
    rewards: Mapping[str, int] = field(default_factory=dict)
    _place_of: Mapping[str, int] = field(init=False, repr=False)
    _stacked: "WeakValueDictionary[tuple[RowSource, ...], Float32s]" = field(
        default_factory=WeakValueDictionary, init=False, repr=False
    )

    def __post_init__(self) -> None:
        # Several spellings can be one model: then the one with the most evidence counts.
        evidence = (self.n_grades.astype(np.int64) * _GRADES_COUNT + self.n_scores).tolist()
        places = {
            plain_name(self.names[place]): place for place in sorted(range(len(self.names)), key=evidence.__getitem__)
        }
        places |= {name: place for place, name in enumerate(self.names)}
        object.__setattr__(self, "_place_of", MappingProxyType(places))

    @property
    def n_demands(self) -> int:
        """The length of a demand vector."""
        return len(self.default_ability)

    def find(self, name: str) -> int | None:
        """Return the place of a model; with an effort that is not listed, that of its default effort.

        Args:
            name: `vendor/model` or `vendor/model@effort`.
        """
        for wanted in (name, plain_name(name), name.rpartition("@")[0], plain_name(name).rpartition("@")[0]):
            place = self._place_of.get(wanted)
            if place is not None:
                return place
        return None

    def source_of(
        self,
        name: str,
        trained_name: str | None,
        general: tuple[float, float] | None,
        ability: tuple[float, float] | None,
        *,
        reasons: bool,
    ) -> RowSource:
        """Return where the beliefs about a model come from: the first of the arguments that is known.

        Args:
            name: `vendor/model` or `vendor/model@effort`.
            trained_name: Name of the model among the reference models; None: it is none of them.
            general: General ability that its class states, and its standard deviation.
            ability: Prior ability on the scale of the reference models, and its standard deviation.
            reasons: Whether the model can reason before it answers.
        """
        place = self.find(name)
        if place is not None:
            return RowSource(place)
        if trained_name is not None and trained_name in self.abilities:
            return RowSource(None, general_of(self.abilities[trained_name]), _STD_OF_TRAINED, reasons)
        if general is not None:
            return RowSource(None, *general, reasons)
        if ability is not None:
            return RowSource(None, general_of(ability[0]), ability[1] / (_ABILITY_AT_1 - _ABILITY_AT_0), reasons)
        return RowSource(None, reasons=reasons)

    def stacked(self, sources: Sequence[RowSource]) -> Float32s:
        """Return the rows of lanes, shape (5 * n_lanes, d), block after block.

        The array is contiguous and read-only. Tables with the same models share one.
        """
        key = tuple(sources)
        matrix = self._stacked.get(key)
        if matrix is None:
            blocks = np.empty((N_BLOCKS, len(key), self.n_demands), np.float32)
            for place, source in enumerate(key):
                quality, std, visible, reasoning = self._rows_of(source)
                blocks[:, place] = -quality, std, visible, reasoning, std * np.float32(_FACTOR)
            matrix = blocks.reshape(N_BLOCKS * len(key), self.n_demands)
            matrix.flags.writeable = False
            self._stacked[key] = matrix
        return matrix

    def _rows_of(self, source: RowSource) -> tuple[Float32s, Float32s, Float32s, Float32s]:
        place = source.place
        if place is not None:
            return self.quality[place], self.quality_std[place], self.visible[place], self.reasoning[place]
        quality, std = self.default_ability, self.default_std
        if source.general is not None:
            unfamiliarity = FIRST_DEMANDS.index(UNFAMILIAR_DEMAND)
            quality = self.general_rows[0] + np.float32(source.general) * self.general_rows[1]
            std = np.float32(source.general_std) * self.general_rows[1]
            std[unfamiliarity] = self.default_std[unfamiliarity]
        return quality, std, self.default_visible, self.default_reasoning

    def to_bytes(self) -> bytes:
        """Return the content of the file. Equal models give equal bytes."""
        file = io.BytesIO()
        arrays = {name: getattr(self, name) for name in _STORED}
        np.savez_compressed(file, **(arrays | {"names": np.array(self.names, np.str_)}))
        return file.getvalue()

    @classmethod
    def read(
        cls,
        path: Path,
        n_demands: int,
        abilities: Mapping[str, float],
        rewards: Mapping[str, int] = MappingProxyType({}),
    ) -> Self:
        """Read a bundle's file.

        Args:
            path: File.
            n_demands: Length of the demand vector of the bundle's graph.
            abilities: Trained name -> ability of the bundle's reference models.
            rewards: Trained name -> judged answers that it was learned from.

        Raises:
            BundleError: The file cannot be read, or is not of the documented form.
        """
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
                missing = [name for name in _STORED if name not in stored.files]
                arrays = {name: stored[name] for name in _STORED if not missing}
        except (OSError, ValueError, EOFError, BadZipFile, zlib.error) as problem:
            raise BundleError(f"{path}: cannot be read ({problem}): {_REMEDY}") from None
        if missing:
            raise BundleError(f"{path}: has no array {missing[0]!r}: {_REMEDY}")
        _check(path, arrays, n_demands)
        names = tuple(arrays.pop("names").tolist())
        for name in _FLOATS:
            arrays[name] = np.ascontiguousarray(arrays[name], np.float32)
        return cls(names, **arrays, abilities=abilities, rewards=rewards)


_STORED: Final = tuple(
    each.name for each in fields(CatalogueModels) if each.init and each.name not in ("abilities", "rewards")
)


def general_of(ability: float) -> float:
    """Return the general ability of a model, from its ability among the reference models in log odds."""
    return (ability - _ABILITY_AT_0) / (_ABILITY_AT_1 - _ABILITY_AT_0)


def _check(path: Path, arrays: Mapping[str, npt.NDArray[np.generic]], n_demands: int) -> None:
    names = arrays["names"]
    if names.ndim != 1 or names.dtype.kind != "U":
        raise BundleError(f"{path}: names is not a list of texts: {_REMEDY}")
    n = len(names)
    shapes: dict[str, tuple[int, ...]] = {"log_std": (2,), "general_rows": (2, n_demands)}
    shapes |= dict.fromkeys(_OF_MODELS, (n, n_demands)) | dict.fromkeys(_PER_DEMAND, (n_demands,))
    if len(set(names.tolist())) != n:
        raise BundleError(f"{path}: a model is named twice: {_REMEDY}")
    for name, array in arrays.items():
        shape = shapes.get(name, (n,))
        if array.shape != shape:
            raise BundleError(f"{path}: {name} has the shape {array.shape}, not {shape}: {_REMEDY}")
        kinds = "f" if name in _FLOATS else "U" if name == "names" else "u"
        if array.dtype.kind not in kinds:
            raise BundleError(f"{path}: {name} has the type {array.dtype}: {_REMEDY}")
        if name in _FLOATS and not np.isfinite(array.astype(np.float32)).all():
            raise BundleError(f"{path}: {name} holds a number that is not finite: {_REMEDY}")
    if n and int(arrays["basis"].max()) >= len(BASES):
        raise BundleError(f"{path}: basis holds {int(arrays['basis'].max())}, not 0..{len(BASES) - 1}: {_REMEDY}")
