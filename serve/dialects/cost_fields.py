"""The cost in a usage block, in every dialect: `cost` is what the owner of the provider key pays."""

from typing import Any

from router.price_table import NUSD_PER_USD, Cost, TokenUsage


def cost_fields(usage: TokenUsage, cost: Cost) -> dict[str, Any]:
    """Return `cost` and `cost_details`, in USD."""
    return {
        "cost": cost.total_nusd / NUSD_PER_USD,
        "cost_details": {
            "prompt_cost": cost.prompt_nusd / NUSD_PER_USD,
            "completion_cost": cost.completion_nusd / NUSD_PER_USD,
            "request_cost": cost.request_nusd / NUSD_PER_USD,
            "is_estimated": usage.is_estimated or cost.is_incomplete,
        },
    }
