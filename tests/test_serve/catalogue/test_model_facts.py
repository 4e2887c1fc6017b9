"""The facts of litellm: how they are extracted, and what is read from them."""

import gzip
import json
import zipfile
from datetime import date
from pathlib import Path

import pytest

from serve.catalogue.extract_model_facts import extract
from serve.catalogue.model_facts import FILE, load_facts
from serve.errors import ConfigurationError
from serve.packaged_files import data_dir

TABLE = {
    "sample_spec": {"litellm_provider": "one of https://docs.litellm.ai/docs/providers", "mode": "one of: chat"},
    "gpt-x": {
        "litellm_provider": "openai", "mode": "chat", "max_input_tokens": 1000, "max_output_tokens": 100,
        "supports_function_calling": True, "supports_vision": False, "supports_reasoning": True,
        "supports_minimal_reasoning_effort": False, "supports_xhigh_reasoning_effort": True,
        "supports_sampling_params": False, "deprecation_date": "2026-12-01",
    },
    "gpt-x-pro": {"litellm_provider": "openai", "mode": "responses", "supported_endpoints": ["/v1/responses"]},
    "vertex_ai/claude-x@20260101": {
        "litellm_provider": "vertex_ai-anthropic_models", "mode": "chat", "supports_adaptive_thinking": True,
        "reasoning_effort_levels": ["max", "low"],
    },
    "groq/whisper": {"litellm_provider": "groq", "mode": "audio_transcription", "input_cost_per_second": 1},
    "a/open-1": {"litellm_provider": "a", "mode": "chat", "supports_function_calling": True, "max_input_tokens": 10},
    "b/open-1": {"litellm_provider": "b", "mode": "chat", "supports_function_calling": True, "max_input_tokens": 20},
    "c/open-1": {"litellm_provider": "c", "mode": "chat", "supports_vision": True, "max_input_tokens": 90},
}  # fmt: skip


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "litellm-9.8.7-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("litellm/model_prices_and_context_window_backup.json", json.dumps(TABLE))
    return path


def test_an_extract_has_what_lanes_need(wheel: Path, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(extract(wheel, "2026-11-30"))
    facts = load_facts(tmp_path)
    assert (facts.source, facts.read_on) == ("litellm 9.8.7", date(2026, 11, 30))
    model = facts.of_host("openai", ["nothing", "gpt-x"])
    assert model is not None
    assert model.capabilities == {"tools", "reasoning"}
    assert (model.context_tokens, model.max_output_tokens) == (1000, 100)
    assert model.efforts == ("low", "medium", "high", "xhigh")
    assert not model.takes_sampling
    assert model.deprecated_on == date(2026, 12, 1)
    pro = facts.of_host("openai", ["gpt-x-pro"])
    assert pro is not None
    assert not pro.takes_chat
    claude = facts.of_host("vertex_ai", ["claude-x@20260101"])
    assert claude is not None
    assert (claude.adapts_thinking, claude.efforts) == (True, ("low", "max"))
    whisper = facts.of_host("groq", ["whisper"])
    assert whisper is not None
    assert whisper.mode == "audio_transcription"
    assert facts.of_host(None, ["gpt-x"]) is None


def test_a_model_without_a_list_of_its_maker_has_what_most_hosts_list(wheel: Path, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(extract(wheel, "2026-11-30"))
    rows = json.loads(gzip.decompress((tmp_path / FILE).read_bytes()))
    rows["models"] = {host: {"vendor/open-1": next(iter(rows["models"][host].values()))} for host in "abc"}
    (tmp_path / FILE).write_bytes(gzip.compress(json.dumps(rows).encode(), mtime=0))
    load_facts.cache_clear()
    facts = load_facts(tmp_path).of_model("vendor/open-1")
    assert facts.capabilities == {"tools"}
    assert facts.context_tokens == 20
    assert load_facts(tmp_path).of_model("vendor/unheard").capabilities == frozenset()


def test_the_same_wheel_gives_the_same_bytes(wheel: Path) -> None:
    assert extract(wheel, "2026-11-30") == extract(wheel, "2026-11-30")


def test_another_file_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "litellm-1.0-py3-none-any.whl"
    other.write_text("no wheel")
    with pytest.raises(ConfigurationError, match="not a wheel of litellm"):
        extract(other, "2026-11-30")


def test_a_spoilt_extract_is_refused_with_the_mend(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"\x1f\x8bspoilt")
    with pytest.raises(ConfigurationError, match="extract_model_facts"):
        load_facts(tmp_path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_facts(tmp_path / "nowhere")


def test_the_shipped_extract_is_small_and_tells_where_it_is_from() -> None:
    path = data_dir() / FILE
    assert path.stat().st_size < 400 * 1024
    content = json.loads(gzip.decompress(path.read_bytes()))
    assert content["source"].startswith("litellm 1.")
    assert content["licence"].startswith("MIT")
    assert "cost" not in json.dumps(content["models"])
