"""The sandbox's lanes. Each has the predicted quality of a graded model, so that routing is real."""

from decimal import Decimal

from router.lane import Lane
from router.price_table import Price

PROVIDER = "sandbox"
_SOURCE = "invented for the sandbox, near the 2024 list price of the model it stands for"


def _lane(name: str, prices: tuple[str, str], stands_for: str, ttft_ms: float, tokens_per_s: float) -> Lane:
    return Lane(
        lane_id=f"{PROVIDER}/{name}",
        provider=PROVIDER,
        upstream_model=name,
        vendor_model=f"{PROVIDER}/{name}",
        account=PROVIDER,
        price=Price(Decimal(prices[0]), Decimal(prices[1]), _SOURCE, None),
        context_tokens=128_000,
        max_output_tokens=4_096,
        trains_on_data=False,
        retains_data=False,
        trained_name=stands_for,
        typical_ttft_ms=ttft_ms,
        typical_tokens_per_s=tokens_per_s,
    )


def sandbox_lanes() -> tuple[Lane, ...]:
    """Return the simulated lanes, from cheap and quick to expensive and slow."""
    return (
        _lane("small", ("0.05", "0.08"), "llama-3.1-8b-instruct", 80, 400),
        _lane("medium", ("0.15", "0.60"), "gpt-4o-mini-2024-07-18", 200, 200),
        _lane("large", ("3", "15"), "claude-3-5-sonnet-20241022", 400, 120),
        _lane("reasoning", ("3", "12"), "o1-mini-2024-09-12", 900, 250),
    )
