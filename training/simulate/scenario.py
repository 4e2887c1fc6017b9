"""The scenario of a simulation, read from TOML: traffic, feedback, exploration, and events on the way."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from training.errors import SettingsError


@dataclass(frozen=True, slots=True)
class PriceChange:
    """From `day` on, a model costs `factor` times its price in prices.csv."""

    model_name: str
    day: int
    factor: float


@dataclass(frozen=True, slots=True)
class Degradation:
    """From `day` on, only `kept_share` of a model's good answers stay good."""

    model_name: str
    day: int
    kept_share: float


@dataclass(frozen=True, slots=True)
class Arrival:
    """A model that is available from `day` on."""

    model_name: str
    day: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """The scenario of a simulation; days count from 0.

    Args:
        model_names: Names in the corpus of the models that are lanes.
        sources: Sources of the prompts; empty: all sources of the corpus.
        n_requests, n_days: Size of the traffic, spread evenly; each day ends with a night of learning.
        start_share: Share of the prompts that the first bundle is fitted to, with grades of models that are not lanes.
        held_out_share: Share of the prompts that are never sent; they judge every arm on every day.
        worth_usd: Value of a good answer, USD.
        feedback_share: Share of the answers that are judged.
        feedback_delay_days: Mean of the exponential time until an answer is judged.
        exploration_share, exploration_ceiling_usd, exploration_bar, exploration_lanes: Settings of `[exploration]`.
        window_days: Number of days of logs that the nightly retraining reads.
        follows_gate: Whether a challenger is used only if the gate finds it better; if not, every challenger is used.
        first_day: First day of the virtual clock, `YYYY-MM-DD`, UTC.
        price_changes, degradations, arrivals: Events on the way.
        seed: Seed of splits, order, draws and feedback.
    """

    model_names: tuple[str, ...]
    sources: tuple[str, ...] = ()
    n_requests: int = 20_000
    n_days: int = 14
    start_share: float = 0.15
    held_out_share: float = 0.2
    worth_usd: float = 0.01
    feedback_share: float = 0.3
    feedback_delay_days: float = 0.5
    exploration_share: float = 0.1
    exploration_ceiling_usd: float = 50.0
    exploration_bar: float = 0.3
    exploration_lanes: int = 4
    window_days: int = 30
    follows_gate: bool = False
    first_day: str = "2026-01-05"
    price_changes: tuple[PriceChange, ...] = ()
    degradations: tuple[Degradation, ...] = ()
    arrivals: tuple[Arrival, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values that a file can get wrong.

        Raises:
            SettingsError: A number is out of range, or an event names no lane.
        """
        if len(self.model_names) < 2 or len(set(self.model_names)) != len(self.model_names):
            raise SettingsError(
                f"scenario: model_names must be two or more different models, got {list(self.model_names)!r}"
            )
        events: list[PriceChange | Degradation | Arrival] = [*self.price_changes, *self.degradations, *self.arrivals]
        for event in events:
            if event.model_name not in self.model_names:
                raise SettingsError(
                    f"scenario: {type(event).__name__} names {event.model_name!r}, which is not in model_names"
                )
        if self.window_days < 1:
            raise SettingsError(f"scenario: window_days must be at least 1, got {self.window_days!r}")
        if not 1 <= self.n_days <= self.n_requests:
            raise SettingsError(
                f"scenario: n_days must be 1..n_requests, got {self.n_days} days of {self.n_requests} requests"
            )
        for name in ("start_share", "held_out_share", "feedback_share", "exploration_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(f"scenario: {name} must be 0..1, got {getattr(self, name)!r}")
        if not self.start_share + self.held_out_share < 1:
            raise SettingsError("scenario: start_share and held_out_share leave no traffic: their sum must be below 1")

    def with_changes(self, **changes: object) -> "Scenario":
        """Return the scenario with some fields set; a field whose new value is None stays."""
        values: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
        return replace(self, **values)


FORTNIGHT = Scenario(
    model_names=(
        "claude-3-5-sonnet-20241022",
        "deepseek-coder-v2",
        "deepseek-v2.5",
        "gemini-1.5-flash",
        "gemini-1.5-flash-002",
        "gemini-1.5-pro-002",
        "gemma-2-9b-it",
        "gpt-4o-2024-08-06",
        "gpt-4o-mini-2024-07-18",
        "llama-3.1-70b-instruct",
        "llama-3.1-8b-instruct",
        "llama-3.1-nemotron-51b-instruct",
        "mistral-7b-instruct-v0.3",
        "mistral-large-2407",
        "o1-mini-2024-09-12",
        "phi-3-mini-4k-instruct",
        "qwen1.5-72b-chat",
        "qwen2.5-7b-instruct",
    ),
    price_changes=(PriceChange("llama-3.1-70b-instruct", 6, 0.3),),
    degradations=(Degradation("gemini-1.5-flash-002", 9, 0.6),),
    arrivals=(Arrival("deepseek-coder-v2", 4), Arrival("gpt-4o-mini-2024-07-18", 4)),
)
"""The scenario of docs/learning.md: eighteen models. Two arrive late, one becomes cheaper, and one becomes worse."""

_EVENTS: dict[str, type[PriceChange] | type[Degradation] | type[Arrival]] = {
    "price_changes": PriceChange,
    "degradations": Degradation,
    "arrivals": Arrival,
}


def read_scenario(path: Path) -> Scenario:
    """Read a scenario: top-level keys are fields of `Scenario`; events are arrays of tables, such as `[[arrivals]]`.

    Raises:
        SettingsError: The file is missing or malformed; the message says what is wrong.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise SettingsError(f"--scenario {path}: cannot be read ({problem})") from None
    field_names = {field.name for field in fields(Scenario)}
    if unknown := sorted(set(content) - field_names):
        raise SettingsError(f"--scenario {path}: {unknown[0]!r} is not a field: use {', '.join(sorted(field_names))}")
    try:
        return Scenario(**{name: _value(name, value) for name, value in content.items()})
    except (TypeError, AttributeError) as problem:
        raise SettingsError(f"--scenario {path}: {problem}") from None


def _value(name: str, value: Any) -> Any:
    if name in _EVENTS:
        events: list[Mapping[str, Any]] = value
        return tuple(_EVENTS[name](**event) for event in events)
    return tuple(value) if isinstance(value, list) else value
