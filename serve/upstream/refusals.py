"""What providers say when they refuse: the words of an error body, and the table that tells what they mean.

The HTTP status alone does not tell. Providers answer 400 for an account without credit, 403 for one prompt, 413 for a
limit of tokens a minute, and 429 when they have no free capacity.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

RefusalMeaning = Literal[
    "over_limit",
    "request_over_limit",
    "full",
    "failed",
    "model",
    "no_credit",
    "bad_key",
    "content",
    "too_long",
    "bad_request",
]

_WORD_FIELDS = ("type", "code", "status", "reason", "__type")
_MESSAGE_FIELDS = ("message", "Message", "detail", "error_description", "error")
_MOST_DEPTH = 6
_SHORT = 1_000
_FIRST_LINE = 300


@dataclass(frozen=True, slots=True)
class ProviderError:
    """What an error body says.

    Args:
        words: Values of its `type`, `code`, `status` and `reason`, and the type in `x-amzn-errortype`.
        message: The provider's words for people; its first line if the body is no JSON.
        param: Value of its `param`; None: it names no parameter.
        retry_delay_s: Seconds that Google's `RetryInfo` asks to wait; None: it does not say.
        text: The whole body, as it came.
    """

    words: frozenset[str]
    message: str
    param: str | None
    retry_delay_s: float | None
    text: str


def read_provider_error(text: str, headers: Mapping[str, str]) -> ProviderError:
    """Return what an error body says, whatever its envelope: OpenAI's, Anthropic's, Google's (also as an array), AWS's.

    Args:
        text: Body of the response.
        headers: Headers by name in lower case.
    """
    words: set[str] = set()
    amazon_type = headers.get("x-amzn-errortype", "").partition(":")[0]
    if amazon_type:
        words.add(amazon_type)
    try:
        body = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return ProviderError(frozenset(words), text.strip().partition("\n")[0][:_FIRST_LINE], None, None, text)
    param, delay = None, None
    for node in _nodes(body, 0):
        words |= {str(node[name]) for name in _WORD_FIELDS if isinstance(node.get(name), str | int)}
        if param is None and isinstance(node.get("param"), str) and node["param"]:
            param = node["param"]
        if delay is None and isinstance(node.get("retryDelay"), str):
            delay = _seconds(node["retryDelay"])
    return ProviderError(frozenset(words), _message(body)[:_SHORT], param, delay, text)


def _nodes(body: Any, depth: int) -> Iterator[dict[str, Any]]:
    """Yield the objects of a body, the outer ones first."""
    if depth > _MOST_DEPTH:
        return
    if isinstance(body, dict):
        yield body
        for value in body.values():
            yield from _nodes(value, depth + 1)
    elif isinstance(body, list):
        for value in body:
            yield from _nodes(value, depth + 1)


def _message(body: Any) -> str:
    """Return the words for people in an error body."""
    if isinstance(body, list):
        return _message(body[0]) if body else ""
    if not isinstance(body, dict):
        return "" if body is None else str(body)
    if isinstance(body.get("error"), dict | list):
        return _message(body["error"])
    return next((_message(body[name]) for name in _MESSAGE_FIELDS if body.get(name)), "")


def _seconds(text: str) -> float | None:
    try:
        return max(float(text.removesuffix("s")), 0.0)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row of the table: what a provider says, and what it means.

    Args:
        providers: Ids of the providers that say it; empty: any provider, and servers of the operator.
        statuses: HTTP statuses that it comes with; empty: any.
        words: Words of which the error must have one; empty: any. See `ProviderError.words`.
        says: Pattern that must match somewhere in the body, whatever the case; None: any body.
        means: Meaning of the refusal.
            over_limit: a limit of the account is reached, so its pool rests for as long as the provider says.
            request_over_limit: this request alone is larger than a limit of the account, so another lane is asked.
            full: the provider has no free capacity, so this lane rests and another lane is asked at once.
            failed: the model failed at this request, so this lane rests and another lane is asked.
            model: the account may not use this model, or the provider lacks it, so this lane rests.
            no_credit: the account has no credit, so the provider key rests.
            bad_key: the provider key is wrong, so it rests.
            content: the provider refuses what this request says, and the caller sees the error.
            too_long: the prompt is longer than this model takes, so another lane is asked.
            bad_request: the request itself is wrong, and the caller sees the error.
    """

    providers: frozenset[str]
    statuses: frozenset[int]
    words: frozenset[str]
    says: re.Pattern[str] | None
    means: RefusalMeaning

    def fits(self, provider: str, status: int, error: ProviderError) -> bool:
        """Return whether this row is about an error."""
        return (
            (not self.providers or provider in self.providers)
            and (not self.statuses or status in self.statuses)
            and (not self.words or not self.words.isdisjoint(error.words))
            and (self.says is None or self.says.search(error.text) is not None)
        )


class RefusalTable:
    """The rows, in their order; the first that fits counts.

    Args:
        rows: The rows.
    """

    def __init__(self, rows: Sequence[Refusal] = ()) -> None:
        self._rows = tuple(rows)

    def meaning_of(self, provider: str, status: int, error: ProviderError) -> RefusalMeaning | None:
        """Return what a refusal means; None: no row is about it, so its status counts."""
        return next((row.means for row in self._rows if row.fits(provider, status, error)), None)


NO_REFUSALS = RefusalTable()

_PARAMETER = re.compile(
    r"(?:unsupported|unknown|unrecognized|unexpected|invalid|extra)\s+(?:request\s+)?"
    r"(?:parameter|argument|field|name|value|property|key)s?(?:\s+supplied)?\s*[:=]?\s*"
    r"[`'\"]?(?P<a>[A-Za-z_][\w.\[\]]*)"
    r"|[`'\"](?P<b>[A-Za-z_][\w.\[\]]*)[`'\"]?\s*:?\s*(?:is|are)\s+(?:not\s+(?:supported|permitted|allowed|available)"
    r"|unsupported|deprecated)"
    r"|(?:property|parameter|field|argument)\s+[`'\"](?P<c>[A-Za-z_][\w.\[\]]*)[`'\"]\s+is\s+(?:un|not\s)"
    r"|^(?P<d>[a-z_][\w.\[\]]*):\s+(?:extra inputs|input should|value error|unexpected|not supported|unsupported)"
    r"|does not support(?:\s+the)?(?:\s+parameters?)?:?\s+"
    r"[`'\"](?P<e>[A-Za-z_][\w.\[\]]*)"
    r"|support[s]?\s+(?:for\s+)?[`'\"](?P<f>[A-Za-z_][\w.\[\]]*)[`'\"]\s+(?:is|was)\s+(?:not|removed)",
    re.IGNORECASE | re.MULTILINE,
)
_NAME = re.compile(r"[A-Za-z_]\w{0,60}")
_NO_PARAMETERS = frozenset({"model", "messages", "input", "contents", "request", "body", "value", "parameter", "json"})


def refused_parameter(status: int, error: ProviderError) -> str | None:
    """Return the parameter that a refusal names; None: it names none, or another status than 400 or 422.

    It is named in OpenAI's `param`, or in the message in one of the ways that providers write:
    `Unsupported parameter: 'x'`, `x: Extra inputs are not permitted`, `Unknown name "x"`, `property 'x' is
    unsupported`. The name is that of the request's field, without what is inside it. `messages` and `model` are no
    parameters.
    """
    if status not in (400, 422):
        return None
    match = None if error.param else _PARAMETER.search(error.message)
    name = error.param or (next((group for group in match.groups() if group), None) if match else None)
    if name is None:
        return None
    name = re.split(r"[.\[]", name.removeprefix("body."), maxsplit=1)[0]
    return None if not _NAME.fullmatch(name) or name.lower() in _NO_PARAMETERS else name
