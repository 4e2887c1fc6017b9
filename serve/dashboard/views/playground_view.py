"""The playground: the form as it was sent, the decision before, and the answers after. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from router.policies.registry import explain_reason
from router.telemetry_schema import Candidate
from serve.dashboard.inner_call import InnerAnswer
from serve.dashboard.views.candidates_view import CandidatesView, candidates_view
from serve.dashboard.views.lane_basis import LaneBasis

SMART_ROUTE: Final = "smart-route"
_LONGEST_ANSWER: Final = 32_000
_MOST_TOKENS: Final = 4_096


@dataclass(frozen=True, slots=True)
class PlaygroundForm:
    """The fields of the form.

    Args:
        prompt: Prompt.
        quality: Least wanted quality, as written; empty: none.
        max_tokens: Longest answer, as written; empty: no limit.
        beside: Lane or model to ask as well; empty: none.
        mistakes: Sentences about values that were not understood.
        numbers: Field -> its value as a number.
    """

    prompt: str = ""
    quality: str = ""
    max_tokens: str = ""
    beside: str = ""
    mistakes: tuple[str, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)

    def body(self, model: str, *, is_streaming: bool = False) -> dict[str, Any]:
        """Return the request for `/v1/chat/completions`."""
        body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": self.prompt}]}
        if "max_tokens" in self.numbers:
            body["max_tokens"] = int(self.numbers["max_tokens"])
        if "quality" in self.numbers and model == SMART_ROUTE:
            body["route"] = {"quality": self.numbers["quality"]}
        if is_streaming:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body


def read_playground_form(fields: Mapping[str, str]) -> PlaygroundForm:
    """Return the fields of a form. Numbers out of range are mistakes."""
    mistakes: list[str] = []
    numbers: dict[str, float] = {}
    for name, low, high in (("quality", 0.0, 1.0), ("max_tokens", 1.0, float(_MOST_TOKENS))):
        text = fields.get(name, "").strip()
        try:
            if text:
                numbers[name] = float(text)
        except ValueError:
            mistakes.append(f"{text!r} is not a number ({name.replace('_', ' ')}).")
        if name in numbers and not low <= numbers[name] <= high:
            mistakes.append(f"Write a {name.replace('_', ' ')} from {low:g} to {high:g}.")
            del numbers[name]
    prompt = fields.get("prompt", "")
    if not prompt.strip():
        mistakes.append("Write a prompt first.")
    return PlaygroundForm(
        prompt,
        fields.get("quality", "").strip(),
        fields.get("max_tokens", "").strip(),
        fields.get("beside", "").strip(),
        tuple(mistakes),
        numbers,
    )


@dataclass(frozen=True, slots=True)
class DecisionBefore:
    """The decision of `/v1/route`."""

    chosen: str
    why: str
    difficulty: float
    prompt_tokens: int
    candidates: CandidatesView


@dataclass(frozen=True, slots=True)
class AnswerAfter:
    """One answer.

    Args:
        asked: Name that was asked for: `smart-route`, or the pinned lane or model.
        text: Text of the answer.
        request_id, lane: Ids of request and lane; empty: an error came before a lane was chosen.
        reason: Reason for the lane, in words.
        cost_nusd: Cost; None: unknown.
        completion_tokens: Length of the answer; None: unknown.
        error: Message of the error; empty: the lane answered.
    """

    asked: str
    text: str
    request_id: str
    lane: str
    reason: str
    cost_nusd: int | None
    completion_tokens: int | None
    error: str


def decision_before(answer: InnerAnswer) -> DecisionBefore | None:
    """Return the decision; None: there is none."""
    route = answer.body
    if answer.status != 200:
        return None
    candidates = [_candidate(row) for row in route["candidates"]]
    bases = {
        row["lane"]: LaneBasis(
            row["quality_basis"], row["quality_basis_text"], row["sharpen_with"], row["reasoning_tokens"]
        )
        for row in route["candidates"]
    }
    view = candidates_view(candidates, route["chosen"], route["runner_up"], bases)
    return DecisionBefore(
        route["chosen"],
        explain_reason(route["reason"]),
        route["difficulty"],
        route["prompt_tokens"],
        view,
    )


def answer_after(asked: str, answer: InnerAnswer) -> AnswerAfter:
    """Return an answer of `/v1/chat/completions`."""
    usage: Mapping[str, Any] = answer.body.get("usage") or {}
    cost = answer.headers.get("x-llmdeal-cost-usd")
    return AnswerAfter(
        asked=asked,
        text=_text_of(answer.body.get("choices") or ())[:_LONGEST_ANSWER],
        request_id=answer.headers.get("x-llmdeal-request-id", ""),
        lane=answer.headers.get("x-llmdeal-lane", ""),
        reason=explain_reason(answer.headers.get("x-llmdeal-reason", "")),
        cost_nusd=None if cost is None else int(cost.replace(".", "")),
        completion_tokens=usage.get("completion_tokens"),
        error=answer.error or ("" if answer.status == 200 else f"The gateway answered {answer.status}."),
    )


def _text_of(choices: Sequence[Mapping[str, Any]]) -> str:
    message: Mapping[str, Any] = (choices[0].get("message") or {}) if choices else {}
    content = message.get("content")
    return content if isinstance(content, str) else ""


def _candidate(row: Mapping[str, Any]) -> Candidate:
    return Candidate(
        row["lane"],
        row["quality"],
        row["quality_std"],
        row["completion_tokens"],
        row["cost_usd"],
        row["latency_ms"],
        row["excluded_by"],
        row["probability"],
    )
