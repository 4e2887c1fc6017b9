"""What a bundle believes of models that it was not trained on: by price and family, and by graded answers."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from router.bundle import Bundle, load_bundle
from router.lane import Lane, QualityPrior
from router.price_table import Price
from serve.bundles.calibration_file import FORMAT_VERSION, CalibrationAnswer, CalibrationFile
from serve.bundles.choice import bundle_folder
from serve.bundles.generation import load_generation, with_price_prior


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(bundle_folder(""))


def lane(price: str) -> Lane:
    return Lane(
        lane_id="north/new",
        provider="north",
        upstream_model="new",
        vendor_model="acme/new",
        account="north",
        price=Price(Decimal(0), Decimal(price), "a test", date(2026, 11, 1)),
    )


def test_a_more_expensive_newcomer_is_expected_to_be_better(bundle: Bundle) -> None:
    cheap, expensive = with_price_prior(lane("0.1"), bundle).prior, with_price_prior(lane("20"), bundle).prior
    assert cheap is not None
    assert expensive is not None
    assert expensive.ability > cheap.ability + 0.5
    assert bundle.version in expensive.source


def test_what_is_known_already_or_costs_nothing_is_left_alone(bundle: Bundle) -> None:
    believed = replace(lane("1"), prior=QualityPrior(1.0, 0.5, "set by the operator"))
    trained = replace(lane("1"), trained_name=bundle.trained_names[0])
    for untouched in (believed, trained, lane("0")):
        assert with_price_prior(untouched, bundle) == untouched


def test_graded_answers_hold_for_the_effort_at_which_they_were_given() -> None:
    generation = load_generation(bundle_folder(""))
    default = lane("1")
    high = replace(default, lane_id="north/new:high", effort="high", trained_name="acme/new@high")
    answers = tuple(CalibrationAnswer(f"{number}", "sums", f"{number} + 1 = ?", 1.0, 12) for number in range(10))

    def placed(name: str) -> list[str]:
        calibration = CalibrationFile(FORMAT_VERSION, name, "north/new", datetime(2026, 11, 30, tzinfo=UTC), answers)
        lanes = generation.believe_of([default, high], [calibration])
        return [each.lane_id for each in lanes if each.prior is not None and each.prior.placement is not None]

    assert placed("acme/new") == ["north/new"]
    assert placed("acme/new@high") == ["north/new:high"]
