"""What is counted for Prometheus. One registry per application, so that tests and several apps in a process do not share."""

from collections.abc import Callable
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from router.price_table import TokenUsage
from router.telemetry_schema import Outcome

_TTFT_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_OVERHEAD_BUCKETS_S = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25)


class Metrics:
    """Counters of one gateway; label values are lane ids, outcomes and error codes, all from closed or configured sets."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self._attempts = Counter(
            "llmdeal_attempts", "Upstream attempts by outcome.", ("lane", "outcome"), registry=registry
        )
        self._cost = Counter("llmdeal_cost_usd", "Money spent at providers, USD.", ("lane",), registry=registry)
        self._prompt_tokens = Counter("llmdeal_prompt_tokens", "Input tokens.", ("lane",), registry=registry)
        self._completion_tokens = Counter("llmdeal_completion_tokens", "Output tokens.", ("lane",), registry=registry)
        self._ttft = Histogram(
            "llmdeal_ttft_seconds",
            "Provider's time to first byte.",
            ("lane",),
            buckets=_TTFT_BUCKETS_S,
            registry=registry,
        )
        self._overhead = Histogram(
            "llmdeal_overhead_seconds",
            "Our own time until the first byte.",
            buckets=_OVERHEAD_BUCKETS_S,
            registry=registry,
        )
        self._errors = Counter(
            "llmdeal_request_errors", "Requests that ended with an error.", ("code",), registry=registry
        )
        self.telemetry_dropped = Gauge(
            "llmdeal_telemetry_dropped_rows", "Telemetry rows lost since start.", registry=registry
        )
        self.telemetry_queued = Gauge(
            "llmdeal_telemetry_queued_rows", "Telemetry rows waiting to be stored.", registry=registry
        )
        self.shared_state = Gauge(
            "llmdeal_shared_state_up",
            "1: counts are shared, or no other worker is to share them; 0: Valkey is away.",
            registry=registry,
        )
        self._bundles_refused = Counter(
            "llmdeal_bundle_refused",
            "Times that a bundle was wanted and could not be used.",
            ("stage",),
            registry=registry,
        )
        self._watch_alarms = Counter(
            "llmdeal_watch_alarms", "Alarms of the watch, by kind.", ("kind",), registry=registry
        )
        self._shadow = Counter(
            "llmdeal_shadow_requests", "Requests that a shadow was to be asked about.", ("outcome",), registry=registry
        )
        self._alerts = Counter(
            "llmdeal_budget_alerts", "Attempts to tell of a budget.", ("outcome",), registry=registry
        )
        self.idempotent_replays = Counter(
            "llmdeal_idempotent_replays",
            "Answers that were given again under their idempotency key.",
            registry=registry,
        )
        self._background_up = Gauge(
            "llmdeal_background_up",
            "1: the background part runs; 0: it ended and waits to be started again.",
            ("part",),
            registry=registry,
        )
        self._background_restarts = Counter(
            "llmdeal_background_restarts",
            "Times that a background part ended and was started again.",
            ("part",),
            registry=registry,
        )
        self._explored: Counter | None = None
        self._exploration_price: Counter | None = None
        # prometheus_client looks labels up by hashing and locking on every call; the hot path keeps the children instead.
        self._lane_children: dict[str, tuple[Counter, Counter, Counter, Histogram]] = {}
        self._attempt_children: dict[tuple[str, str], Counter] = {}

    def note_attempt(
        self,
        lane_id: str,
        outcome: Outcome,
        cost_nusd: int | None,
        usage: TokenUsage | None,
        ttft_ms: float | None,
        overhead_ms: float | None,
    ) -> None:
        """Count one attempt."""
        attempts = self._attempt_children.get((lane_id, outcome))
        if attempts is None:
            attempts = self._attempt_children[lane_id, outcome] = self._attempts.labels(lane_id, outcome)
        attempts.inc()
        if usage is not None:
            cost, prompt, completion, ttft = self._children(lane_id)
            cost.inc((cost_nusd or 0) / 1e9)
            prompt.inc(usage.prompt_tokens)
            completion.inc(usage.completion_tokens)
            if ttft_ms is not None:
                ttft.observe(ttft_ms / 1_000)
        if overhead_ms is not None:
            self._overhead.observe(overhead_ms / 1_000)

    def note_error(self, code: str) -> None:
        """Count a request that ended with an error."""
        self._errors.labels(code).inc()

    def note_bundle_refused(self, stage: str) -> None:
        """Count a bundle that cannot be used."""
        self._bundles_refused.labels(stage).inc()

    def note_watch_alarm(self, kind: str) -> None:
        """Count an alarm of the watch."""
        self._watch_alarms.labels(kind).inc()

    def note_shadow(self, outcome: Literal["scored", "dropped", "failed"]) -> None:
        """Count a request that a shadow was to be asked about."""
        self._shadow.labels(outcome).inc()

    def note_alert(self, outcome: Literal["delivered", "failed", "given_up"]) -> None:
        """Count an attempt to tell of a budget."""
        self._alerts.labels(outcome).inc()

    def note_background(self, part: str, *, is_up: bool) -> None:
        """Show whether a background part runs."""
        self._background_up.labels(part).set(is_up)
        self._background_restarts.labels(part)  # so that it is shown as 0 before the first restart

    def note_background_restart(self, part: str) -> None:
        """Count a background part that was started again."""
        self._background_restarts.labels(part).inc()

    def follow_exploration(self, ceiling_nusd: int, spent_nusd: Callable[[], int]) -> None:
        """Begin to count what exploration gives up; called once, where there is any.

        Args:
            ceiling_nusd: Of a calendar month.
            spent_nusd: Returns what all workers together gave up in this month.
        """
        registry = self.registry
        self._explored = Counter(
            "llmdeal_explored_requests", "Requests that tried a lane which is not the best one.", registry=registry
        )
        self._exploration_price = Counter(
            "llmdeal_exploration_price_usd", "What these were expected to give up, USD.", registry=registry
        )
        ceiling = Gauge(
            "llmdeal_exploration_ceiling_usd", "What may be given up in a calendar month, USD.", registry=registry
        )
        ceiling.set(ceiling_nusd / 1e9)
        spent = Gauge(
            "llmdeal_exploration_month_usd", "What all workers gave up in this month, USD.", registry=registry
        )
        spent.set_function(lambda: spent_nusd() / 1e9)

    def note_explored(self, price_usd: float) -> None:
        """Count a request that tried a lane which is not the best one."""
        if self._explored is not None and self._exploration_price is not None:
            self._explored.inc()
            self._exploration_price.inc(price_usd)

    def _children(self, lane_id: str) -> tuple[Counter, Counter, Counter, Histogram]:
        children = self._lane_children.get(lane_id)
        if children is None:
            children = self._lane_children[lane_id] = (
                self._cost.labels(lane_id),
                self._prompt_tokens.labels(lane_id),
                self._completion_tokens.labels(lane_id),
                self._ttft.labels(lane_id),
            )
        return children
