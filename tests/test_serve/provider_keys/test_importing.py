"""Keys brought over from a `.env` file and from LiteLLM's configuration."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.catalogue.provider_rows import load_provider_rows
from serve.errors import ConfigurationError
from serve.packaged_files import data_dir
from serve.provider_keys.import_env import read_env_file
from serve.provider_keys.import_litellm import read_litellm_config
from serve.settings import load_settings

ROWS = load_provider_rows(data_dir() / "providers")


def test_a_dot_env_brings_every_providers_keys_under_their_names(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        'export OPENAI_API_KEY="sk-one"\nOPENAI_API_KEY_WORK=sk-two # of work\n'
        "GROQ_API_KEY=\nUNKNOWN_KEY=x\nGOOGLE_API_KEY=AIza1\n"
    )
    importable = read_env_file(file, ROWS)
    assert {(key.provider, key.name, key.secret) for key in importable.keys} == {
        ("openai", "main", "sk-one"),
        ("openai", "work", "sk-two"),
        ("gemini", "main", "AIza1"),
    }
    assert "sk-one" not in repr(importable)


LITELLM = """
model_list:
  - model_name: gpt
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY, rpm: 60}
  - model_name: gpt-again
    litellm_params: {model: gpt-4o-mini, api_key: os.environ/OPENAI_API_KEY}
  - model_name: gpt-other
    litellm_params: {model: openai/gpt-4o, api_key: sk-other, api_base: "https://api.openai.com/v1"}
  - model_name: claude
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_key: sk-ant-1}
  - model_name: llama
    litellm_params:
      model: openai/llama-3
      api_base: "http://gpu-box:8000/v1"
      api_key: secret
      input_cost_per_token: 1.5e-7
      output_cost_per_token: 0.0000006
  - model_name: qwen
    litellm_params: {model: hosted_vllm/qwen, api_base: "http://gpu-box:8000/v1"}
  - model_name: azure
    litellm_params: {model: azure/my-gpt, api_key: az-1, api_base: "https://me.openai.azure.com/openai/v1"}
  - model_name: missing
    litellm_params: {model: groq/llama, api_key: os.environ/NOT_THERE}
  - model_name: strange
    litellm_params: {model: watsonx/granite}
  - nonsense
general_settings: {master_key: sk-1234}
router_settings: {num_retries: 2}
"""


def test_a_litellm_configuration_brings_keys_servers_and_notes(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(LITELLM)
    importable = read_litellm_config(file, ROWS, {"OPENAI_API_KEY": "sk-env"})
    assert {(key.provider, key.name, key.secret, key.base_url) for key in importable.keys} == {
        ("openai", "main", "sk-env", None),
        ("openai", "key-2", "sk-other", None),
        ("anthropic", "main", "sk-ant-1", None),
        ("azure", "main", "az-1", "https://me.openai.azure.com/openai/v1"),
    }
    (tmp_path / "llmdeal.toml").write_text(importable.settings)
    [server] = load_settings(tmp_path / "llmdeal.toml", {}).servers
    assert server.base_url == "http://gpu-box:8000/v1"
    assert [(model.upstream_model, model.input_usd_per_mtok) for model in server.models] == [
        ("llama-3", "0.15"),
        ("qwen", "0"),
    ]
    notes = "\n".join(importable.notes)
    for word in ("NOT_THERE", "watsonx", "model_list[10]", "llmdeal keys issue", "router_settings"):
        assert word in notes
    assert "secret" not in importable.settings + notes


@pytest.mark.parametrize("text", ["", "model_list: 3", "- a", "a: [", "\x00"])
def test_what_is_no_such_file_is_said_so(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"config\.yaml"):
        read_litellm_config(file, ROWS, {})


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_PARAMS = st.dictionaries(
    st.sampled_from(["model", "api_key", "api_base", "input_cost_per_token"]),
    _SCALARS | st.sampled_from(["openai/x", "http://[", "azure/é\n"]),
)


@given(
    st.lists(_VALUES | st.fixed_dictionaries({"model_name": _SCALARS, "litellm_params": _PARAMS | _VALUES}), max_size=4)
)
def test_any_list_of_models_is_read_or_noted(tmp_path_factory: pytest.TempPathFactory, models: list[object]) -> None:
    import yaml

    folder = tmp_path_factory.mktemp("any")
    (folder / "config.yaml").write_text(yaml.safe_dump({"model_list": models}))
    settings = read_litellm_config(folder / "config.yaml", ROWS, {}).settings
    tomllib.loads(settings)
