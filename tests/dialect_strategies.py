"""Hypothesis generators for neutral requests and answers that OpenAI's and Anthropic's dialects can both express."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from router.price_table import TokenUsage
from serve.dialects.neutral.answer import NeutralAnswer
from serve.dialects.neutral.parts import MediaPart, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from serve.dialects.neutral.request import NeutralRequest, OutputFormat, Reasoning, Sampling, Tool, ToolChoice, Turn

words = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Zs", "Cc", "Zl", "Zp"]), min_size=1, max_size=12
)
names = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)
call_ids = st.from_regex(r"(call|toolu)_[A-Za-z0-9]{4,12}", fullmatch=True)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-1_000, 1_000) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)
arguments = st.dictionaries(names, json_values, max_size=3).map(lambda value: msgspec.json.encode(value).decode())
texts = st.builds(TextPart, words)
images = st.builds(MediaPart, st.just("image"), st.just("image/png"), st.just("iVBORw0KGgo=")) | st.builds(
    MediaPart,
    st.just("image"),
    st.none(),
    url=words.map(lambda word: "https://example.com/" + "".join(map(str, map(ord, word)))),
)


@st.composite
def tool_rounds(draw: st.DrawFn) -> list[Turn]:
    """Calls, perhaps with words before them, and their results."""
    calls = [
        ToolCallPart(call_id, draw(names), draw(arguments))
        for call_id in draw(st.lists(call_ids, min_size=1, max_size=3, unique=True))
    ]
    spoken_texts = draw(st.lists(texts, max_size=1))
    results = [ToolResultPart(call.call_id, tuple(draw(st.lists(texts, max_size=1)))) for call in calls]
    return [Turn("assistant", (*spoken_texts, *calls)), Turn("user", tuple(results))]


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Turn, ...]:
    """User and assistant in turn, the user first and last."""
    turns = [Turn("user", (draw(texts), *draw(st.lists(images, max_size=2))))]
    for _ in range(draw(st.integers(0, 2))):
        if draw(st.booleans()):
            turns += draw(tool_rounds())
        else:
            turns += [Turn("assistant", (draw(texts),)), Turn("user", (draw(texts),))]
    return tuple(turns)


schemas: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    names, st.sampled_from([{"type": "string"}, {"type": "integer"}]), max_size=3
).map(lambda properties: {"type": "object", "properties": properties})
tools = st.builds(Tool, names, st.none() | words, schemas, st.sampled_from([None, True]))


@st.composite
def requests(draw: st.DrawFn) -> NeutralRequest:
    """A request that both dialects can say."""
    offered = tuple(draw(st.lists(tools, max_size=2, unique_by=lambda tool: tool.name)))
    choice = None
    if offered:
        modes = st.sampled_from([None, "auto", "none", "required", "named"])
        mode = draw(modes)
        choice = None if mode is None else ToolChoice(mode, offered[0].name if mode == "named" else None)
    is_forced = choice is not None and choice.mode in ("required", "named")
    efforts = st.none() | st.sampled_from(["low", "medium", "high", "xhigh"]).map(lambda effort: Reasoning(effort))
    return NeutralRequest(
        system=tuple(draw(st.lists(texts, max_size=1))),
        turns=draw(conversations()),
        tools=offered,
        tool_choice=choice,
        is_parallel=draw(st.none() | st.booleans()) if choice is not None and choice.mode != "none" else None,
        max_output_tokens=draw(st.integers(1, 100_000)),
        sampling=Sampling(draw(st.none() | st.floats(0, 1)), draw(st.none() | st.floats(0, 1))),
        stop=tuple(draw(st.lists(words, max_size=2))),
        output_format=draw(st.none() | st.builds(OutputFormat, schemas, is_strict=st.just(True))),
        reasoning=None if is_forced else draw(efforts),
        user_id=draw(st.none() | names),
        is_streaming=draw(st.booleans()),
    )


usages = st.builds(
    lambda plain, cached, written, completion: TokenUsage(plain + cached + written, completion, cached, written),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**4),
    st.integers(0, 10**5),
)


@st.composite
def answers(draw: st.DrawFn) -> NeutralAnswer:
    """A whole answer, thoughts first, calls last."""
    thoughts = draw(st.lists(st.builds(ReasoningPart, words, words, st.none(), st.just("anthropic")), max_size=1))
    calls = [
        ToolCallPart(call_id, draw(names), draw(arguments))
        for call_id in draw(st.lists(call_ids, max_size=3, unique=True))
    ]
    spoken_texts = draw(st.lists(texts, max_size=1)) if calls else [draw(texts)]
    reason = "tool_calls" if calls else draw(st.sampled_from(["stop", "length", "content_filter"]))
    return NeutralAnswer("id-1", "some-model", (*thoughts, *spoken_texts, *calls), reason, draw(usages))
