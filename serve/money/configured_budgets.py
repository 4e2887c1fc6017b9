"""Monthly budgets from the settings."""

from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from router.price_table import NUSD_PER_USD
from serve.errors import ConfigurationError
from serve.identity.virtual_keys import DEFAULT_ACCOUNT
from serve.money.budget import BudgetRule, Nusd
from serve.money.scopes import account_scope, provider_key_scope, virtual_key_scope
from serve.settings import Settings


def configured_budgets(settings: Settings) -> list[BudgetRule]:
    """Return the caps of the account, of virtual keys, of providers and of servers.

    Raises:
        ConfigurationError: A time zone is unknown, or an amount is finer than a nano-dollar or too large.
    """
    zone = time_zone(settings)
    caps = {account_scope(DEFAULT_ACCOUNT): settings.monthly_budget_usd}
    caps |= {virtual_key_scope(entry.name): entry.monthly_budget_usd for entry in settings.virtual_keys}
    for provider_id, configured in settings.providers.items():
        name = f"{provider_id}@{configured.account}" if configured.account else provider_id
        caps[provider_key_scope(name)] = configured.monthly_budget_usd
        for entry in configured.keys:
            caps[provider_key_scope(f"{provider_id}@{entry.name}")] = entry.monthly_budget_usd
    caps |= {provider_key_scope(server.id): server.monthly_budget_usd for server in settings.servers}
    return [
        BudgetRule(scope, nusd_of_usd(scope, Decimal(usd)), zone, True)
        for scope, usd in caps.items()
        if usd is not None
    ]


def time_zone(settings: Settings) -> ZoneInfo:
    """Return the time zone of the budgets' calendar months.

    Raises:
        ConfigurationError: The time zone is unknown.
    """
    try:
        return ZoneInfo(settings.time_zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigurationError(
            f"time_zone: {settings.time_zone!r} is not in the IANA database: write one such as Europe/Berlin"
        ) from error


def nusd_of_usd(scope: str, usd: Decimal) -> Nusd:
    """Return an amount in nano-dollars.

    Raises:
        ConfigurationError: The amount is negative, finer than a nano-dollar, or too large; the text names `scope`.
    """
    if usd.is_finite() and 0 <= usd < 2**62:
        nusd = usd * NUSD_PER_USD
        if nusd == nusd.to_integral_value() and nusd < 2**62:
            return int(nusd)
    raise ConfigurationError(
        f"the budget of {scope}: {usd} USD is not a whole number of nano-dollars between 0 and 4 billion dollars"
    )
