"""The everyday suite has the form that its bench relies on, and its reader refuses what has not."""

import json
import re
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from checkout import ROOT

from bench.everyday_suite import EASY_UP_TO, HARD_FROM, EverydayPrompt, easy_hard_pairs, read_suite
from serve.errors import ConfigurationError
from serve.http.doors import CHAT

SUITE = read_suite(ROOT / "data" / "everyday")
KINDS = sorted({prompt.kind for prompt in SUITE})
WITHOUT_HARD = {"small-talk"}
"""Kinds in which nothing is hard for a strong model."""

GOOD = "kind: tea\nname: Tea\nprompts:\n- {id: tea-01, level: 1, visible_tokens: [1, 9], judged_by: x, prompt: hi}\n"


def of_kind(kind: str) -> list[EverydayPrompt]:
    return [prompt for prompt in SUITE if prompt.kind == kind]


def characters(prompt: EverydayPrompt) -> int:
    return len(str([message["content"] for message in prompt.body["messages"]]))


def test_it_has_ten_prompts_of_each_of_twenty_kinds_in_files_of_their_names() -> None:
    assert Counter(prompt.kind for prompt in SUITE) == dict.fromkeys(KINDS, 10)
    assert len(KINDS) == 20
    assert [path.stem for path in sorted((ROOT / "data" / "everyday").glob("*.yaml"))] == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_prompts_of_a_kind_are_numbered_from_the_easiest_to_the_hardest(kind: str) -> None:
    prompts = of_kind(kind)
    assert [prompt.id for prompt in prompts] == [f"{kind}-{number:02d}" for number in range(1, 11)]
    levels = [prompt.level for prompt in prompts]
    assert levels == sorted(levels)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_easy_prompts_and_nearly_every_kind_hard_ones(kind: str) -> None:
    prompts = of_kind(kind)
    assert sum(prompt.is_easy for prompt in prompts) >= 3
    assert sum(prompt.is_hard for prompt in prompts) >= (0 if kind in WITHOUT_HARD else 2)


def test_all_levels_occur_and_a_pair_is_five_levels_apart() -> None:
    assert {prompt.level for prompt in SUITE} == set(range(1, 11))
    pairs = easy_hard_pairs(SUITE)
    assert len(pairs) > 150
    assert {easy.kind for easy, _ in pairs} == set(KINDS) - WITHOUT_HARD
    assert all(easy.kind == hard.kind and hard.level - easy.level >= 5 for easy, hard in pairs)
    assert HARD_FROM - EASY_UP_TO == 5


def test_lengths_of_prompt_and_answer_do_not_give_the_level_away() -> None:
    pairs = easy_hard_pairs(SUITE)
    assert sum(characters(hard) > characters(easy) for easy, hard in pairs) < 0.8 * len(pairs)
    assert min(prompt.least_tokens for prompt in SUITE if prompt.is_hard) <= 20
    assert max(prompt.least_tokens for prompt in SUITE if prompt.is_easy) >= 400


def test_ranges_of_lengths_are_wide_and_still_say_something() -> None:
    for prompt in SUITE:
        assert prompt.least_tokens * 2 <= prompt.most_tokens, prompt.id
    assert sum(prompt.most_tokens <= 200 for prompt in SUITE) >= 30
    assert sum(prompt.least_tokens >= 400 for prompt in SUITE) >= 30


def test_no_prompt_occurs_twice() -> None:
    texts = Counter(str(prompt.body["messages"]) for prompt in SUITE)
    assert max(texts.values()) == 1


def test_the_gateway_reads_every_prompt() -> None:
    for prompt in SUITE:
        inquiry = CHAT.read(msgspec.json.encode(prompt.body))
        assert inquiry.context.text.strip(), prompt.id
        inquiry.neutral  # noqa: B018 - it raises if a field cannot be read


def test_arguments_of_tool_calls_are_json() -> None:
    calls = [call for prompt in SUITE for message in prompt.body["messages"] for call in message.get("tool_calls", ())]
    assert len(calls) >= 5
    assert all(isinstance(json.loads(call["function"]["arguments"]), dict) for call in calls)


@pytest.mark.parametrize(
    ("pattern", "least"),
    [
        (r"[\u0900-\u097f]{2}", 3),
        (r"[\u3040-\u30ff]{2}", 3),
        (r"[\u4e00-\u9fff]{2}", 7),
        (r"[¿¡ñ]", 8),
        (r"\b(und|nicht|ich|wie|der)\b", 11),
        (r"\b(vous|une|avec|Je)\b|[êœ]|Dix ", 5),
        (r"\b(tudo|uma|jogos|preciso|jornal)\b", 5),
    ],
    ids=["Hindi", "Japanese", "Chinese", "Spanish", "German", "French", "Portuguese"],
)
def test_it_speaks_several_languages(pattern: str, least: int) -> None:
    assert sum(bool(re.search(pattern, str(prompt.body["messages"]))) for prompt in SUITE) >= least


def test_a_file_without_faults_is_read(tmp_path: Path) -> None:
    (tmp_path / "tea.yaml").write_text(GOOD)
    (prompt,) = read_suite(tmp_path)
    assert prompt.body == {"model": "smart-route", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("good", "bad", "reason"),
    [
        ("level: 1", "level: 11", "level"),
        ("[1, 9]", "[9, 1]", "'tea-01' is 9 to 1"),
        ("prompt: hi", "prompt: ''", "either a prompt or messages"),
        ("prompt: hi", "prompt: hi, messages: [{role: user, content: hi}]", "exactly one"),
        ("prompt: hi", "promt: hi", "promt"),
        ("judged_by: x", "judged_by: ''", "judged_by"),
        ("prompts:", "prompts: [", "not valid YAML"),
    ],
)
def test_a_fault_is_named_with_its_file_and_line(tmp_path: Path, good: str, bad: str, reason: str) -> None:
    (tmp_path / "tea.yaml").write_text(GOOD.replace(good, bad))
    with pytest.raises(ConfigurationError, match=re.escape(reason)) as error:
        read_suite(tmp_path)
    assert re.search(r"tea\.yaml, line \d+", str(error.value))


def test_an_id_is_used_once(tmp_path: Path) -> None:
    (tmp_path / "tea.yaml").write_text(GOOD)
    (tmp_path / "too.yaml").write_text(GOOD)
    with pytest.raises(ConfigurationError, match="two prompts have the id 'tea-01'"):
        read_suite(tmp_path)


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no \.yaml files"):
        read_suite(tmp_path)
