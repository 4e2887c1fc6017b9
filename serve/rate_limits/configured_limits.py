"""The limits per minute, as the settings have them: counted in this process, or shared with others through Valkey."""

from serve.background.supervisor import BackgroundPart
from serve.clock import Clock
from serve.metrics import Metrics
from serve.rate_limits.counters import Counter, LocalCounter, SharedCounter
from serve.rate_limits.key_limits import KeyLimits
from serve.settings import Settings


def configured_limits(
    settings: Settings, clock: Clock, metrics: Metrics
) -> tuple[KeyLimits, tuple[BackgroundPart, ...]]:
    """Return the limits of virtual keys, with the counter that the gateway closes at its end.

    Args:
        settings: Settings of the gateway.
        clock: Monotonic clock; decides when a Valkey that was away is tried again.
        metrics: Counters; whether counts are shared is shown there.

    Raises:
        ConfigurationError: Counts are to be shared, but the package that speaks to Valkey is not installed.
    """
    counter: Counter
    if settings.shared_state:
        counter = shared = SharedCounter(settings.shared_state, clock.monotonic)
        metrics.shared_state.set_function(lambda: 0.0 if shared.is_away else 1.0)
    else:
        counter = LocalCounter()
        metrics.shared_state.set(1.0)
    return KeyLimits(counter), (BackgroundPart("rate_limits", close=counter.close),)
