"""The settings of a gateway in front of local models only."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from serve.settings import ServerSettings, Settings, load_settings

WORTH_OF_A_GOOD_ANSWER_USD = 0.0001
"""Local answers cost millionths of a dollar. Against the usual value of an answer that is nothing, and the better model would always win."""


def local_settings(
    config_file: Path | None, environment: Mapping[str, str], port: int | None, servers: Sequence[ServerSettings]
) -> Settings:
    """Return the operator's settings with these servers as the only lanes: no provider of the file is called, or paid.

    Raises:
        ConfigurationError: A file is missing or malformed, or a value is wrong.
    """
    lanes = {"servers": tuple(servers), "providers": {}, "sandbox": "off"}
    settings = load_settings(config_file, environment, {"port": port, **lanes})
    if "willingness_to_pay_usd" in settings.model_fields_set:
        return settings
    return settings.model_copy(update={"willingness_to_pay_usd": WORTH_OF_A_GOOD_ANSWER_USD})
