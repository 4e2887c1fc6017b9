"""A lane without a prior gets one from its price and its model family; every other lane is left alone."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from router.bundle import Bundle, load_bundle
from router.lane import Lane, QualityPrior
from router.price_table import Price
from serve.bundles.choice import bundle_folder
from serve.bundles.generation import with_price_prior


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
