"""Places models among the trained ones by their graded answers."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache, lru_cache

import numpy as np

from router.arrays import Float32s
from router.bundle import Bundle
from router.catalogue_models import LEAST, MOST, STD
from router.context import RouteContext
from router.lane import Lane, QualityPrior
from router.lane_rows import column_name
from router.lane_table import UNKNOWN_ABILITY, UNKNOWN_ABILITY_STD
from router.model_name import plain_name
from router.placement import GradedAnswers, Placement, PlacementSpace
from router.quality_model import QualityModel
from router.reference_answers import ReferenceAnswers
from serve.bundles.calibration_file import CalibrationAnswer, CalibrationFile

Place = Callable[[CalibrationFile, Lane], Placement]
"""Places the model of a lane by its graded answers; what was believed of it before is the prior."""
_REMEMBERED = 4_096


def place_lanes(
    lanes: Iterable[Lane], calibrations: Sequence[CalibrationFile], bundle: Bundle, place: Place
) -> list[Lane]:
    """Return the lanes, with placements for calibrated models that the bundle was not trained on."""
    answered = {
        plain_name(calibration.vendor_model): calibration for calibration in calibrations if calibration.answers
    }
    return [
        with_placement(lane, place(answered[plain_name(calibrated_name(lane))], lane))
        if needs_placing(lane, bundle) and plain_name(calibrated_name(lane)) in answered
        else lane
        for lane in lanes
    ]


def remembered_placing(
    bundle: Bundle, quality_model: QualityModel, read_reference: Callable[[], ReferenceAnswers]
) -> Place:
    """Return a function that places the models of lanes and remembers where.

    So a change of one model's answers costs the fit of one model, however many lanes and accounts have it.

    Args:
        bundle: Bundle that the lanes are placed in.
        quality_model: Quality model of the bundle.
        read_reference: Function that returns the reference answers of the bundle.
    """
    reference = cache(read_reference)
    space = cache(lambda: PlacementSpace.of(reference()))

    @lru_cache(maxsize=_REMEMBERED)
    def place(calibration: CalibrationFile, prior: QualityPrior | None) -> Placement:
        return place_model(space(), quality_model, calibration, prior)

    return lambda calibration, lane: place(calibration, reference_prior(lane, bundle, reference()))


def calibrated_name(lane: Lane) -> str:
    """Return the name under which a lane's graded answers are kept. Lanes of one name share them.

    It is `vendor/model`, and `vendor/model@high` for a lane that sets an effort: at another effort, a model answers
    differently.
    """
    return column_name(lane)


def reference_prior(lane: Lane, bundle: Bundle, reference: ReferenceAnswers) -> QualityPrior | None:
    """Return the belief about a lane's model on the reference prompts, before its own answers are graded.

    That of a catalogue model follows from its row, if the bundle says what its reference prompts demand.
    """
    place = None if bundle.catalogue is None else bundle.catalogue.find(column_name(lane))
    if bundle.catalogue is None or place is None or reference.demand is None:
        return None if lane.prior is None else replace(lane.prior, placement=None)
    mean = reference.demand.mean(axis=0)
    ability, std = float(bundle.catalogue.quality[place] @ mean), float(bundle.catalogue.quality_std[place] @ mean)
    return QualityPrior(ability, min(max(std, LEAST[STD]), MOST[STD]), f"its row in {bundle.version}")


def place_model(
    space: PlacementSpace, quality_model: QualityModel, calibration: CalibrationFile, prior: QualityPrior | None
) -> Placement:
    """Return where a model's graded answers place it among the trained ones."""
    graded = graded_answers(quality_model, calibration.answers)
    placement = space.place(graded) if prior is None else space.place(graded, prior.ability, prior.ability_std)
    return replace(placement, graded_on=calibration.asked_at.date())


def graded_answers(quality_model: QualityModel, answers: Sequence[CalibrationAnswer]) -> GradedAnswers:
    """Return graded answers, at least one, with the bundle's beliefs about their prompts."""
    quality, tokens = predict_all(quality_model, [answer.prompt for answer in answers])
    lengths = [np.nan if answer.completion_tokens is None else answer.completion_tokens for answer in answers]
    scores = np.array([answer.score for answer in answers], np.float32)
    return GradedAnswers(quality, tokens, scores, np.array(lengths, np.float32))


def predict_all(quality_model: QualityModel, prompts: Sequence[str]) -> tuple[Float32s, Float32s]:
    """Return (P(good answer), completion tokens) of the trained models, each (n_prompts, n_trained)."""
    predictions = [quality_model.predict(RouteContext.from_prompt(prompt)) for prompt in prompts]
    return np.stack([each.quality for each in predictions]), np.stack([each.completion_tokens for each in predictions])


def with_placement(lane: Lane, placement: Placement) -> Lane:
    """Return the lane with the placement from its model's own answers."""
    prior = lane.prior or QualityPrior(UNKNOWN_ABILITY, UNKNOWN_ABILITY_STD, "nothing was known")
    return replace(lane, prior=replace(prior, placement=placement))


def needs_placing(lane: Lane, bundle: Bundle) -> bool:
    """Return whether a bundle knows a lane's model only by a prior or by its graded answers."""
    return lane.trained_name not in bundle.trained_names
