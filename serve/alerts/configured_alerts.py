"""The target and the thresholds of budget alerts, as the settings have them."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from serve.alerts.webhook import WebhookTarget, read_secret
from serve.errors import ConfigurationError
from serve.settings import AlertSettings


def webhook_target(alerts: AlertSettings, environment: Mapping[str, str]) -> WebhookTarget:
    """Return where alerts go.

    Args:
        alerts: The section of the settings.
        environment: As in `os.environ`; for `secret_env`.

    Raises:
        ConfigurationError: The URL has no host or holds a password, or there is no secret, or two, or it is malformed.
    """
    try:
        parts = urlsplit(alerts.webhook_url)
        is_sound = bool(parts.hostname) and parts.username is None and (parts.port is None or parts.port > 0)
    except ValueError:
        is_sound = False
    if not is_sound:
        raise ConfigurationError("alerts.webhook_url: write https://host/path, without a user name or a password")
    if (alerts.secret is None) == (alerts.secret_env is None):
        raise ConfigurationError("alerts: give either secret or secret_env, for webhooks are signed")
    if alerts.secret is not None:
        return WebhookTarget(alerts.webhook_url, read_secret(alerts.secret.get_secret_value(), "alerts.secret"))
    name = alerts.secret_env or ""
    if name not in environment:
        raise ConfigurationError(f"alerts.secret_env: the environment has no {name!r}")
    return WebhookTarget(alerts.webhook_url, read_secret(environment[name], f"alerts.secret_env ({name})"))
