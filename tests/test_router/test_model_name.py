"""One name for a model, whatever a host calls it."""

import pytest
from genai_prices import data
from hypothesis import given
from hypothesis import strategies as st

from router.model_name import has_variant, model_name

IDS = sorted({model.id for provider in data.providers for model in provider.models})


@pytest.mark.parametrize(
    ("model_id", "name"),
    [
        ("gpt-5-mini-2025-08-07", "openai/gpt-5-mini"),
        ("gpt-5-mini", "openai/gpt-5-mini"),
        ("o3-2025-04-16", "openai/o3"),
        ("gpt-5-chat-latest", "openai/gpt-5-chat"),
        ("chatgpt-4o-latest", "openai/chatgpt-4o-latest"),
        ("claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4.5"),
        ("claude-sonnet-4-5@20250929", "anthropic/claude-sonnet-4.5"),
        ("anthropic/claude-sonnet-4.5", "anthropic/claude-sonnet-4.5"),
        ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic/claude-sonnet-4.5"),
        ("us.anthropic.claude-3-5-sonnet-20241022-v2:0", "anthropic/claude-3.5-sonnet"),
        ("claude-3-7-sonnet-latest", "anthropic/claude-3.7-sonnet"),
        ("claude-opus-4-0", "anthropic/claude-opus-4"),
        ("claude-4-opus", "anthropic/claude-opus-4"),
        ("llama-3.3-70b-versatile", "meta-llama/llama-3.3-70b-instruct"),
        ("llama-3.3-70b", "meta-llama/llama-3.3-70b-instruct"),
        ("meta/llama-3.3-70b-instruct", "meta-llama/llama-3.3-70b-instruct"),
        ("meta-llama/Llama-3.3-70B-Instruct-Turbo", "meta-llama/llama-3.3-70b-instruct"),
        ("meta.llama3-3-70b-instruct-v1:0", "meta-llama/llama-3.3-70b-instruct"),
        ("meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8", "meta-llama/llama-4-maverick"),
        ("accounts/fireworks/models/llama-v3p1-8b-instruct", "meta-llama/llama-3.1-8b-instruct"),
        ("accounts/fireworks/routers/glm-5p3", "z-ai/glm-5.3"),
        ("zai-org/GLM-5.3", "z-ai/glm-5.3"),
        ("zai/glm-5.3", "z-ai/glm-5.3"),
        ("qwen-3-coder-480b", "qwen/qwen3-coder"),
        ("Qwen/Qwen2.5-72B-Instruct", "qwen/qwen-2.5-72b-instruct"),
        ("deepseek-ai/DeepSeek-V3.2", "deepseek/deepseek-v3.2"),
        ("deepseek.r1-v1:0", "deepseek/deepseek-r1"),
        ("deepseek/deepseek-r1-0528", "deepseek/deepseek-r1-0528"),
        ("moonshotai/kimi-k2-instruct", "moonshotai/kimi-k2"),
        ("amazon.nova-lite-v1:0", "amazon/nova-lite-v1"),
        ("amazon/nova-lite", "amazon/nova-lite-v1"),
        ("nvidia.nemotron-nano-9b-v2:0", "nvidia/nemotron-nano-9b-v2"),
        ("llama-3.1-nemotron-70b-instruct", "nvidia/llama-3.1-nemotron-70b-instruct"),
        ("mistral-medium-3-5", "mistralai/mistral-medium-3.5"),
        ("mistral.mistral-7b-instruct-v0:2", "mistralai/mistral-7b-instruct-v0.2"),
        ("gemini-2.0-flash-001", "google/gemini-2.0-flash"),
        ("gemini-3.1-pro-preview", "google/gemini-3.1-pro"),
        ("gemma-4-31b", "google/gemma-4-31b-it"),
        ("grok-4-0709", "x-ai/grok-4"),
        ("grok-4-1-fast-reasoning", "x-ai/grok-4.1-fast"),
        ("grok-4-1-fast-non-reasoning", "x-ai/grok-4.1-fast-non-reasoning"),
        ("openai/gpt-oss-120b:free", "openai/gpt-oss-120b"),
        ("~anthropic/claude-sonnet-latest", "anthropic/claude-sonnet-latest"),
        ("surprise-1", "other/surprise-1"),
    ],
)
def test_a_model_has_one_name_at_all_hosts(model_id: str, name: str) -> None:
    assert model_name(model_id) == name


def test_a_bare_name_that_tells_no_vendor_gets_the_vendor_of_its_host() -> None:
    assert model_name("surprise-1", "fireworks") == "fireworks/surprise-1"
    assert model_name("gpt-oss-20b", "fireworks") == "openai/gpt-oss-20b"


@pytest.mark.parametrize("model_id", IDS)
def test_the_name_of_a_name_is_itself(model_id: str) -> None:
    name = model_name(model_id)
    assert model_name(name) == name
    assert name == name.lower()
    assert name.count("/") == 1


@given(st.text("abcdefgl-./:@~_ 0123456789", max_size=40))
def test_any_text_has_a_name_of_vendor_and_model(text: str) -> None:
    vendor, slash, _ = model_name(text).partition("/")
    assert slash
    assert vendor


@pytest.mark.parametrize("model_id", [each for each in IDS if "/" in each and not each.startswith("@")])
def test_capitals_and_a_variant_do_not_matter(model_id: str) -> None:
    assert model_name(model_id.upper()) == model_name(model_id)
    if not has_variant(model_id):
        assert model_name(f"{model_id}:free") == model_name(model_id)


def test_a_variant_is_seen() -> None:
    assert has_variant("openai/gpt-oss-20b:free")
    assert not has_variant("amazon.nova-lite-v1:0")
    assert not has_variant("openai/gpt-oss-20b")
