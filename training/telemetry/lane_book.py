"""What logs say of the lanes themselves, whoever decided: whose model answers, what it costs, what is believed of it before anything was graded."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LoggedLane:
    """One lane, as the gateway noted it.

    Args:
        vendor_model: Who made its model and what it is; None: the log does not say.
        trained_name: Its model's name where graded answers of it were trained on; None: none were, or the log does not say.
        ability, ability_std: What is believed where nothing was trained on; None: nothing is, or the log does not say.
        input_usd_per_mtok, output_usd_per_mtok, request_usd: Its prices; None: the log does not say.
    """

    vendor_model: str | None = None
    trained_name: str | None = None
    ability: float | None = None
    ability_std: float | None = None
    input_usd_per_mtok: float | None = None
    output_usd_per_mtok: float | None = None
    request_usd: float = 0.0

    @property
    def is_noted(self) -> bool:
        """Whether the gateway wrote it down with its prices; exports of version 1 name models at most."""
        return self.input_usd_per_mtok is not None and self.output_usd_per_mtok is not None


@dataclass(frozen=True, slots=True)
class LaneBook:
    """All lanes that logs name.

    Args:
        latest: Lane id -> the lane as it was last noted.
        at: (price snapshot, lane id) -> the lane at those prices.
    """

    latest: Mapping[str, LoggedLane] = field(default_factory=dict)
    at: Mapping[tuple[str, str], LoggedLane] = field(default_factory=dict)
