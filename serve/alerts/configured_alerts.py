"""Budget alerts, as the settings have them."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from sqlalchemy import Engine

from serve.alerts.budget_alerts import BudgetAlerts
from serve.alerts.outbox import AlertRepository
from serve.alerts.webhook import WebhookTarget, read_secret
from serve.background.supervisor import BackgroundPart
from serve.clock import Clock
from serve.errors import ConfigurationError
from serve.metrics import Metrics
from serve.money.budget_keeper import BudgetKeeper
from serve.settings import AlertSettings, Settings
from serve.upstream.http_transport import HttpTransport


def configured_alerts(
    settings: Settings,
    environment: Mapping[str, str],
    engine: Engine,
    keeper: BudgetKeeper,
    metrics: Metrics,
    clock: Clock,
) -> tuple[BackgroundPart, ...]:
    """Return the background work of the alerts; empty: the settings have none.

    Args:
        settings: Settings of the gateway.
        environment: Environment variables; may hold the secret of the webhooks.
        engine: The database.
        keeper: Keeper of the budgets; says which ones refused requests.
        metrics: Counters; attempts to send an alert are counted there.
        clock: Time.

    Raises:
        ConfigurationError: The target of the webhooks is wrong.
    """
    if settings.alerts is None:
        return ()
    target = webhook_target(settings.alerts, environment)
    repository, thresholds = AlertRepository(engine), settings.alerts.thresholds
    alerts = BudgetAlerts(repository, keeper.take_refused, target, thresholds, clock, HttpTransport(), metrics)
    return (BackgroundPart("alerts", run=alerts.follow, close=alerts.close),)


def webhook_target(alerts: AlertSettings, environment: Mapping[str, str]) -> WebhookTarget:
    """Return the target of the webhooks.

    Args:
        alerts: Section of the settings.
        environment: Environment variables; hold the secret that `secret_env` names.

    Raises:
        ConfigurationError: The URL has no host or holds a password, or there is no secret, or two, or it is malformed.
    """
    try:
        parts = urlsplit(alerts.webhook_url)
        is_sound = bool(parts.hostname) and parts.username is None and (parts.port is None or parts.port > 0)
    except ValueError:
        is_sound = False
    if not is_sound:
        raise ConfigurationError(
            "alerts.webhook_url is not a usable address: write https://host/path, without a user name or a password"
        )
    if (alerts.secret is None) == (alerts.secret_env is None):
        raise ConfigurationError("alerts: give either secret or secret_env. Webhooks are signed with it.")
    if alerts.secret is not None:
        return WebhookTarget(alerts.webhook_url, read_secret(alerts.secret.get_secret_value(), "alerts.secret"))
    name = alerts.secret_env or ""
    if name not in environment:
        raise ConfigurationError(f"alerts.secret_env: the environment has no {name!r}")
    return WebhookTarget(alerts.webhook_url, read_secret(environment[name], f"alerts.secret_env ({name})"))
