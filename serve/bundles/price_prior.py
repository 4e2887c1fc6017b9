"""Gives a lane of which nothing is believed what its price and its family say."""

from dataclasses import replace

from router.bundle import Bundle
from router.lane import Lane, QualityPrior


def with_price_prior(lane: Lane, bundle: Bundle) -> Lane:
    """Return the lane with a prior, unless its model was trained on, has one already, or costs nothing."""
    price = float(lane.price.output_usd_per_mtok)
    if (
        lane.prior is not None
        or lane.trained_name in bundle.trained_names
        or bundle.ability_prior is None
        or price <= 0
    ):
        return lane
    prior = bundle.ability_prior
    ability = prior.of(lane.vendor_model, price)
    return replace(lane, prior=QualityPrior(ability, prior.std, f"its price and family, by {bundle.version}"))
