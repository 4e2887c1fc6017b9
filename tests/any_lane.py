"""A lane for tests that need any."""

from datetime import date
from decimal import Decimal

from router.lane import Lane
from router.price_table import Price

LANE = Lane(
    "a/m", "a", "some-model", "anthropic/some-model", "a", Price(Decimal(1), Decimal(1), "a test", date(2026, 11, 1))
)
