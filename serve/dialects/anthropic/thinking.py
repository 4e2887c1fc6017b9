"""How much Claude is asked to think: newer models by effort (`adaptive`), older ones by a budget of tokens.

Models from Opus 4.7 on refuse budgets, those before 4.6 refuse `adaptive`. Sources: the package anthropic 2.12.0;
openrouter.ai/docs, "Claude 4.7 migration guide" and "Reasoning tokens" (shares of the limit for each effort); read
2026-11-23.
"""

from typing import Any

from msgspec import Struct

from router.lane import Effort
from serve.dialects.inquiry import Body
from serve.dialects.json_body import typed
from serve.dialects.neutral.request import Reasoning

_SHARES: dict[str, float] = {"minimal": 0.1, "low": 0.2, "medium": 0.5, "high": 0.8, "xhigh": 0.95, "max": 0.95}
_LEAST_BUDGET_TOKENS = 1_024
_MOST_BUDGET_TOKENS = 128_000
_LOW_BUDGET_TOKENS, _MEDIUM_BUDGET_TOKENS = 2_048, 8_192


def set_thinking(body: Body, reasoning: Reasoning, *, takes_budget: bool) -> None:
    """Ask for thinking in `body`, in the way that the model takes.

    Nothing is asked for if a tool must be called, because the API refuses both at once, or if the limit of the answer
    is below the smallest budget.
    """
    is_forced = (body.get("tool_choice") or {}).get("type") in ("any", "tool")
    if is_forced:
        return
    if reasoning.is_off:
        body["thinking"] = {"type": "disabled"}
        return
    if takes_budget:
        _set_budget(body, reasoning)
        return
    body["thinking"] = {"type": "adaptive", **({} if reasoning.is_shown else {"display": "omitted"})}
    effort = reasoning.effort or _effort_of_budget(reasoning.budget_tokens)
    if effort is not None:
        body["output_config"] = {
            **(body.get("output_config") or {}),
            "effort": "low" if effort == "minimal" else effort,
        }


class _Thinking(Struct):
    budget_tokens: int | None = None
    display: str | None = None


class _OutputConfig(Struct):
    effort: Effort | None = None


class _Asked(Struct):
    """The fields of a caller's body that `as_taken` reads."""

    thinking: _Thinking
    output_config: _OutputConfig | None = None
    tool_choice: dict[str, Any] | None = None


def as_taken(body: Body, *, takes_budget: bool) -> None:
    """Rewrite the `thinking` of a caller's own body if the model would refuse it.

    Raises:
        BadRequestError: A field that has to be rewritten is of the wrong type.
    """
    thinking = body.get("thinking")
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if kind not in ("enabled", "adaptive") or (kind == "enabled") == takes_budget:
        return
    asked = typed(body, _Asked)
    effort = asked.output_config.effort if asked.output_config is not None else None
    if not takes_budget:
        is_shown = asked.thinking.display != "omitted"
        set_thinking(body, Reasoning(effort, asked.thinking.budget_tokens, is_shown), takes_budget=False)
        return
    set_thinking(body, Reasoning(effort or "medium"), takes_budget=True)
    if asked.output_config is not None:
        body["output_config"] = {name: value for name, value in body["output_config"].items() if name != "effort"}


def _set_budget(body: Body, reasoning: Reasoning) -> None:
    # Only a request whose tokens are counted has no limit.
    limit = int(body.get("max_tokens") or _MOST_BUDGET_TOKENS)
    budget = reasoning.budget_tokens or int(limit * _SHARES[reasoning.effort or "medium"])
    budget = max(min(budget, _MOST_BUDGET_TOKENS), _LEAST_BUDGET_TOKENS)
    if budget >= limit:
        return
    body["thinking"] = {"type": "enabled", "budget_tokens": budget}
    for name in ("temperature", "top_k"):  # the API refuses both together with thinking
        body.pop(name, None)


def _effort_of_budget(budget_tokens: int | None) -> Effort | None:
    if budget_tokens is None:
        return None
    return (
        "low" if budget_tokens <= _LOW_BUDGET_TOKENS else "medium" if budget_tokens <= _MEDIUM_BUDGET_TOKENS else "high"
    )
