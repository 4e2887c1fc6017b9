"""A loaded bundle: it is loaded once and then used for the lanes of every account."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from router.bundle import Bundle, load_bundle
from router.context import RouteContext
from router.lane import Lane, QualityPrior
from router.onnx_quality_model import OnnxQualityModel
from router.quality_model import QualityModel
from router.reference_answers import ReferenceAnswers
from router.trained_places import TrainedPlaces
from serve.bundles.calibration_file import CalibrationFile
from serve.bundles.placing import Place, place_lanes, remembered_placing

_FIRST_PROMPTS = (
    "Good morning!",
    "Write a function that merges two sorted lists, and explain how long it takes. " * 40,
)


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """One loaded bundle.

    Args:
        bundle: The checked bundle.
        quality_model: Quality model that predicts with it.
        read_reference: Function that returns its reference answers; they are read from disk once, at the first call.
        place: Function that places a model by its graded answers; it remembers the placements.
    """

    bundle: Bundle
    quality_model: QualityModel
    read_reference: Callable[[], ReferenceAnswers]
    place: Place

    @property
    def version(self) -> str:
        """Version of the bundle; it is logged with every decision."""
        return self.bundle.version

    def believe_of(self, lanes: Sequence[Lane], calibrations: Sequence[CalibrationFile]) -> list[Lane]:
        """Return the lanes with this bundle's names for their models, and priors and placements for all others.

        Blocks, for some milliseconds for each model that was not placed by the same answers before.

        Args:
            lanes: Lanes as configured, without priors or placements of another bundle.
            calibrations: Graded answers of models.
        """
        places = TrainedPlaces(self.bundle.trained_names)
        named = [_with_trained_name(lane, self.bundle.trained_names, places) for lane in lanes]
        with_priors = [with_price_prior(lane, self.bundle) for lane in named]
        return place_lanes(with_priors, calibrations, self.bundle, self.place)

    def warm_up(self) -> None:
        """Do the work that the first requests would wait for. Blocks for some dozens of milliseconds.

        Raises:
            BundleError: The reference answers cannot be read.
            PredictionError: The graph fails.
        """
        self.read_reference()
        for prompt in _FIRST_PROMPTS:
            context = RouteContext.from_prompt(prompt)
            self.quality_model.predict(context)


def load_generation(folder: Path) -> Generation:
    """Load a bundle. Blocks for some dozens of milliseconds.

    Raises:
        BundleError: It is incomplete, altered, of another format or feature version, or its graph cannot be run here.
    """
    bundle = load_bundle(folder)
    quality_model, read_reference = OnnxQualityModel(bundle), cache(bundle.read_reference)
    place = remembered_placing(bundle, quality_model, read_reference)
    return Generation(bundle, quality_model, read_reference, place)


def _with_trained_name(lane: Lane, trained_names: Sequence[str], places: TrainedPlaces) -> Lane:
    """Return the lane with the name that the bundle has for its model, so that logs tell what it was judged by."""
    place = places(lane)
    name = None if place < 0 else trained_names[place]
    return lane if name in (None, lane.trained_name, lane.vendor_model) else replace(lane, trained_name=name)


def with_price_prior(lane: Lane, bundle: Bundle) -> Lane:
    """Return the lane with the ability that its price and its model family suggest.

    It is returned unchanged if the bundle was trained on its model, if it has a prior, or if it costs nothing.
    """
    prior, price = bundle.ability_prior, float(lane.price.output_usd_per_mtok)
    if lane.prior is not None or lane.trained_name in bundle.trained_names or prior is None or price <= 0:
        return lane
    ability = prior.of(lane.vendor_model, price)
    return replace(lane, prior=QualityPrior(ability, prior.std, f"its price and family, by {bundle.version}"))
