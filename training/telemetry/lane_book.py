"""What logs say about the lanes themselves: vendor and model, prices, and the prior belief before any graded answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from router.lane import Effort


@dataclass(frozen=True, slots=True)
class LoggedLane:
    """One lane, as the gateway noted it in the log. `None` means that the log does not say.

    Args:
        vendor_model: Vendor and name of the lane's model.
        trained_name: Model's name in a bundle that was trained on its graded answers; None also if there were none.
        ability, ability_std: Prior belief about a model without graded answers; None also if there is no such belief.
        input_usd_per_mtok, output_usd_per_mtok, request_usd: Prices of the lane.
        effort: Effort of reasoning that the lane sets; None: the provider's default.
    """

    vendor_model: str | None = None
    trained_name: str | None = None
    ability: float | None = None
    ability_std: float | None = None
    input_usd_per_mtok: float | None = None
    output_usd_per_mtok: float | None = None
    request_usd: float = 0.0
    effort: Effort | None = None

    @property
    def is_noted(self) -> bool:
        """Whether the log has the lane's prices; exports of version 1 have only the name of its model."""
        return self.input_usd_per_mtok is not None and self.output_usd_per_mtok is not None


@dataclass(frozen=True, slots=True)
class LaneBook:
    """All lanes that the logs name.

    Args:
        latest: Lane id -> the lane as the gateway noted it last.
        at: (price snapshot, lane id) -> the lane at those prices.
    """

    latest: Mapping[str, LoggedLane] = field(default_factory=dict)
    at: Mapping[tuple[str, str], LoggedLane] = field(default_factory=dict)
