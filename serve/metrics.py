"""The counters for Prometheus. Each application has its own registry, so two in one process do not share."""

from collections.abc import Callable
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from router.price_table import NUSD_PER_USD, TokenUsage
from router.telemetry_schema import Outcome

_TTFT_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_OVERHEAD_BUCKETS_S = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25)


class Metrics:
    """Counters of one gateway. Label values such as lane ids and error codes come from closed or configured sets."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._attempts = self._counter("llmdeal_attempts", "Upstream attempts by outcome.", "lane", "outcome")
        self._cost = self._counter("llmdeal_cost_usd", "Money spent at providers, USD.", "lane")
        self._prompt_tokens = self._counter("llmdeal_prompt_tokens", "Input tokens.", "lane")
        self._completion_tokens = self._counter("llmdeal_completion_tokens", "Output tokens.", "lane")
        self._ttft = Histogram(
            "llmdeal_ttft_seconds",
            "Provider's time to first byte.",
            ("lane",),
            buckets=_TTFT_BUCKETS_S,
            registry=self.registry,
        )
        self._overhead = Histogram(
            "llmdeal_overhead_seconds",
            "The gateway's own time until the first byte.",
            buckets=_OVERHEAD_BUCKETS_S,
            registry=self.registry,
        )
        self._errors = self._counter("llmdeal_request_errors", "Requests that ended with an error.", "code")
        self.telemetry_dropped = self._gauge("llmdeal_telemetry_dropped_rows", "Telemetry rows lost since start.")
        self.telemetry_queued = self._gauge("llmdeal_telemetry_queued_rows", "Telemetry rows waiting to be stored.")
        text = "1: counts are shared, or need not be; 0: Valkey is away."
        self.shared_state = self._gauge("llmdeal_shared_state_up", text)
        text = "Times that a wanted bundle could not be used."
        self._bundles_refused = self._counter("llmdeal_bundle_refused", text, "stage")
        self._watch_alarms = self._counter("llmdeal_watch_alarms", "Alarms of the watch, by kind.", "kind")
        text = "Requests that a shadow was asked about."
        self._shadow = self._counter("llmdeal_shadow_requests", text, "outcome")
        self._alerts = self._counter("llmdeal_budget_alerts", "Attempts to send an alert.", "outcome")
        text = "Answers that were repeated for their idempotency key."
        self.idempotent_replays = self._counter("llmdeal_idempotent_replays", text)
        text = "1: the background part runs; 0: it ended and waits to be started again."
        self._background_up = self._gauge("llmdeal_background_up", text, "part")
        text = "Times that a background part ended and was started again."
        self._background_restarts = self._counter("llmdeal_background_restarts", text, "part")
        self._explored: Counter | None = None
        self._exploration_price: Counter | None = None
        # prometheus_client hashes the labels and takes a lock on every call; the hot path keeps the children instead.
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
            cost.inc((cost_nusd or 0) / NUSD_PER_USD)
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
        """Count a request that a shadow was asked about, or should have been."""
        self._shadow.labels(outcome).inc()

    def note_alert(self, outcome: Literal["delivered", "failed", "given_up"]) -> None:
        """Count an attempt to send an alert."""
        self._alerts.labels(outcome).inc()

    def note_background(self, part: str, *, is_up: bool) -> None:
        """Show whether a background part runs."""
        self._background_up.labels(part).set(is_up)
        self._background_restarts.labels(part)  # so that it is shown as 0 before the first restart

    def note_background_restart(self, part: str) -> None:
        """Count a background part that was started again."""
        self._background_restarts.labels(part).inc()

    def follow_exploration(self, ceiling_nusd: int, spent_nusd: Callable[[], int]) -> None:
        """Begin to count exploration; called once, if the settings switch it on.

        Args:
            ceiling_nusd: Exploration budget of a calendar month, 10^-9 USD.
            spent_nusd: Function that returns what all workers together spent of it in this month, 10^-9 USD.
        """
        text = "Requests that tried a lane which is not the best one."
        self._explored = self._counter("llmdeal_explored_requests", text)
        text = "Expected cost of exploring, compared with the best lane, USD."
        self._exploration_price = self._counter("llmdeal_exploration_price_usd", text)
        text = "Exploration budget of a calendar month, USD."
        self._gauge("llmdeal_exploration_ceiling_usd", text).set(ceiling_nusd / NUSD_PER_USD)
        spent = self._gauge(
            "llmdeal_exploration_month_usd", "Exploration budget that all workers spent in this month, USD."
        )
        spent.set_function(lambda: spent_nusd() / NUSD_PER_USD)

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

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)
