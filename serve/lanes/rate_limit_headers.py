"""The rate-limit headers: read under the names of every provider, and passed to callers under OpenAI's names."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Unit = Literal["requests", "tokens"]
_Kind = Literal["limit", "remaining", "reset"]

_KINDS: tuple[_Kind, ...] = ("limit", "remaining", "reset")
_UNITS: tuple[Unit, ...] = ("requests", "tokens")
# Windows that do not limit the tokens of a request: those that count answers alone, or the usage of a plan.
_OTHER_WINDOWS = ("output", "generated", "usage_based", "unified")
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:([\d.]+)s)?(?:([\d.]+)ms)?")
_DURATION_UNITS_S = (86_400.0, 3_600.0, 60.0, 1.0, 0.001)
# A number above these is not a duration but a moment, in seconds or milliseconds since 1970.
_LEAST_EPOCH_S = 1e9
_LEAST_EPOCH_MS = 1e11


@dataclass(frozen=True, slots=True)
class Window:
    """One limit of a provider's account.

    Args:
        limit: Size of the full window; None: not said.
        remaining: Rest of it now; None: not said.
        reset_s: Seconds until it is full again; None: not said.
    """

    limit: float | None = None
    remaining: float | None = None
    reset_s: float | None = None


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The limits in the headers of one response; None: nothing was said about this unit."""

    requests: Window | None
    tokens: Window | None


def read_rate_limits(headers: Mapping[str, str], now: Callable[[], datetime]) -> RateLimits | None:
    """Return the limits that the headers name; None: they name none.

    Some providers send several windows of a unit (per minute and per day; input tokens and all tokens). Then the plain
    one counts, else the one with the least left. Names that are read (by these providers' documentation of
    2026-11-23):

    - OpenAI, Groq, Azure and Together: `x-ratelimit-remaining-tokens`
    - Mistral: `x-ratelimit-remaining-req-minute` and `x-ratelimit-remaining-tokens-minute` (mistralai/client-ts#169,
      promptfoo/promptfoo#10577, read 2026-12-01)
    - Cerebras: `x-ratelimit-remaining-tokens-minute`
    - Fireworks: `x-ratelimit-remaining-tokens-prompt`
    - OpenRouter: `x-ratelimit-remaining`
    - Anthropic: `anthropic-ratelimit-tokens-remaining`

    Args:
        headers: Headers by name in lower case.
        now: Clock for resets that are moments.
    """
    windows: dict[Unit, dict[str, dict[_Kind, str]]] = {}
    for name, text in headers.items():
        if "ratelimit-" in name and (parts := _parse_name(name)) is not None:
            unit, window, kind = parts
            windows.setdefault(unit, {}).setdefault(window, {})[kind] = text
    if not windows:
        return None
    moment = now()
    requests, tokens = (_tightest(windows.get(unit, {}), moment) for unit in _UNITS)
    return None if requests is None and tokens is None else RateLimits(requests, tokens)


def rate_limit_headers(limits: RateLimits) -> Iterator[tuple[str, str]]:
    """Yield `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`; a reset is a duration: `0.25s`, `360s`."""
    for unit, window in (("requests", limits.requests), ("tokens", limits.tokens)):
        if window is None:
            continue
        if window.limit is not None:
            yield f"x-ratelimit-limit-{unit}", f"{window.limit:.0f}"
        if window.remaining is not None:
            yield f"x-ratelimit-remaining-{unit}", f"{window.remaining:.0f}"
        if window.reset_s is not None:
            yield f"x-ratelimit-reset-{unit}", f"{round(window.reset_s, 3):g}s"


def _parse_name(name: str) -> tuple[Unit, str, _Kind] | None:
    """Return (unit, window, kind) of a header; None: it is about no window of a request.

    Example: `x-ratelimit-remaining-tokens-minute` gives ("tokens", "tokens-minute", "remaining").
    """
    family, _, rest = name.partition("ratelimit-")
    parts = rest.split("-")
    kind = parts.pop(0) if family == "x-" else parts.pop()
    window = "-".join(parts) or "requests"  # OpenRouter's bare names count requests
    if kind not in _KINDS or any(other in window for other in _OTHER_WINDOWS):
        return None
    unit: Unit | None = "requests" if window.startswith("req") else "tokens" if "token" in window else None
    return None if unit is None else (unit, window, kind)


def _tightest(texts_of: Mapping[str, Mapping[_Kind, str]], now: datetime) -> Window | None:
    windows = {name: _window(texts, now) for name, texts in texts_of.items()}
    windows = {name: window for name, window in windows.items() if window != Window()}
    plain = next((windows[name] for name in _UNITS if name in windows), None)
    return plain or min(
        windows.values(), key=lambda window: math.inf if window.remaining is None else window.remaining, default=None
    )


def _window(texts: Mapping[_Kind, str], now: datetime) -> Window:
    limit, remaining = _number(texts.get("limit")), _number(texts.get("remaining"))
    return Window(limit, remaining, None if "reset" not in texts else _seconds_until(texts["reset"].strip(), now))


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return max(number, 0.0) if math.isfinite(number) else None


def _seconds_until(reset: str, now: datetime) -> float | None:
    """Return the seconds until a reset; None: its form is unknown.

    Forms: `6m0s`, `250ms`, `12.5`, `1732406400`, `1732406400000`, `2026-11-23T12:00:00Z`.
    """
    number = _number(reset)
    if number is not None:
        if number < _LEAST_EPOCH_S:
            return number
        moment_s = number / 1_000 if number >= _LEAST_EPOCH_MS else number
        return max(moment_s - now.timestamp(), 0.0)
    match = _DURATION.fullmatch(reset)
    if match and reset:
        parts = [_number(part) or 0.0 for part in match.groups()]
        return sum(part * unit for part, unit in zip(parts, _DURATION_UNITS_S, strict=True))
    try:
        at = datetime.fromisoformat(reset)
    except ValueError:
        return None
    return None if at.tzinfo is None else max((at - now).total_seconds(), 0.0)
