"""Accounts at providers: the credentials for one, the address they are for, and the region where its lanes run."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

from pydantic import ValidationError

from router.lane import Region
from serve.catalogue.model_rows import OfferRow
from serve.catalogue.provider_rows import PlaceRow, ProviderRow, RegionRow
from serve.dialects.registry import DIALECTS
from serve.errors import ConfigurationError
from serve.identity.rows import StoredProviderKey
from serve.identity.virtual_keys import DEFAULT_ACCOUNT
from serve.settings import ProviderSettings, Settings
from serve.upstream.signing.signer import Signer
from serve.upstream.signing.stored import is_aws_pair, read_aws_pair, read_service_account
from serve.upstream.upstream_terms import UpstreamTerms

_WORLDWIDE_PREFIX = "global."


@dataclass(frozen=True, slots=True)
class ProviderAccount:
    """A provider together with credentials for it.

    Args:
        row: Provider of the catalogue.
        configured: Settings of the provider.
        base_url: Address of its endpoints.
        price_factor: Factor on the provider's prices, in this region.
        headers: Headers of every call; they have the key, unless requests are signed.
        region: Region where its lanes run; None: unknown.
        signer: Signer that adds credentials to each request; None: the headers have them.
        region_row: Catalogue entry of the region that was asked for; None: no region was asked for.
        payer: Its name in the scopes of budgets; empty: the same as in its lanes' ids.
        organisation: Group of keys that share their rate limits; None: the limits are its own.
    """

    row: ProviderRow
    configured: ProviderSettings
    base_url: str
    price_factor: Decimal
    headers: Mapping[str, str]
    region: Region | None
    signer: Signer | None
    region_row: RegionRow | None
    payer: str = ""
    organisation: str | None = None

    @property
    def name(self) -> str:
        """The first part of its lanes' ids."""
        return f"{self.row.id}@{self.configured.account}" if self.configured.account else self.row.id

    @property
    def pays_as(self) -> str:
        """Its name in the scopes of budgets."""
        return self.payer or self.name

    @property
    def terms(self) -> UpstreamTerms:
        """How the provider limits and caches on this account."""
        terms = self.row.terms(self.configured.requests_per_minute, self.configured.tokens_per_minute)
        return replace(terms, organisation=self.organisation)

    @property
    def own_embeddings(self) -> frozenset[str]:
        """Ids of the lanes that the operator listed as embedding models."""
        return frozenset(
            f"{self.name}/{served.upstream_model}" for served in self.configured.models if served.kind == "embedding"
        )

    @property
    def trains_on_data(self) -> bool | None:
        """Whether the provider trains on what this account sends; None: unknown."""
        agreed = self.configured.trains_on_data
        return self.row.trains_on_data if agreed is None else agreed

    @property
    def retains_data(self) -> bool | None:
        """Whether the provider keeps what this account sends; None: unknown."""
        agreed = self.configured.retains_data
        return self.row.retains_data if agreed is None else agreed

    def model_id(self, offered: str) -> str:
        """Return the model id to ask for: in a region with inference profiles, the id of the profile."""
        prefix = self.region_row.model_prefix if self.region_row else None
        return offered if prefix is None else prefix + offered.removeprefix(_WORLDWIDE_PREFIX)

    def priced_as(self, offer: OfferRow) -> OfferRow:
        """Return the offer with the id under which its price in this region is listed."""
        prefix = self.region_row.price_prefix if self.region_row else None
        if prefix is None:
            return offer
        usual = (offer.price_id or offer.model).removeprefix(_WORLDWIDE_PREFIX).removeprefix(prefix)
        return offer.model_copy(update={"price_id": prefix + usual})

    def region_of(self, model_id: str) -> Region | None:
        """Return the region where a model runs; `global` for a worldwide id, whatever the address."""
        return "global" if model_id.startswith(_WORLDWIDE_PREFIX) else self.region


@dataclass(frozen=True, slots=True)
class OpenedProviderKey:
    """A stored provider key with its secret; never printed.

    Args:
        key: Everything about the key that people may see.
        secret: The key itself.
    """

    key: StoredProviderKey
    secret: str = field(repr=False)


def open_accounts(
    row: ProviderRow, settings: Settings, environment: Mapping[str, str], notices: list[str]
) -> list[ProviderAccount]:
    """Return the accounts at a provider, one for each key in the settings and the environment.

    Args:
        row: Provider of the catalogue.
        settings: Settings.
        environment: Environment variables.
        notices: List to which remarks for the operator are added.

    Raises:
        ConfigurationError: A region is not offered, or credentials cannot be used.
    """
    configured = settings.providers.get(row.id)
    if configured is None or not configured.keys:
        account = _open_account(row, settings, environment, notices)
        return [] if account is None else [account]
    opened = []
    for entry in configured.keys:
        one = configured.model_copy(
            update={"keys": (), "key": entry.key, "key_env": entry.key_env, "account": entry.name}
        )
        account = _open_account(row, settings.model_copy(update={"providers": {row.id: one}}), environment, notices)
        if account is not None:
            opened.append(replace(account, organisation=configured.account or row.id))
    return opened


def open_stored_account(row: ProviderRow, opened: OpenedProviderKey, notices: list[str]) -> ProviderAccount | None:
    """Return the account of a stored key; None: the key cannot be used, and a notice says why."""
    key = opened.key
    values = {"account": key.name, "base_url": key.base_url, "region": key.region}
    try:
        configured = ProviderSettings.model_validate(values)
        signed = stored_signer(row, configured, opened)
        account = _open(row, configured, {}, notices, row.credentials, opened.secret, signed)
    except (ConfigurationError, ValidationError) as error:
        reason = error if isinstance(error, ConfigurationError) else "its region is not one of eu, us"
        notices.append(f"{row.name}: the stored key {key.name!r} is left out: {reason}")
        return None
    return None if account is None else replace(account, payer=key.payer, organisation=key.organisation)


def stored_signer(
    row: ProviderRow, configured: ProviderSettings, opened: OpenedProviderKey
) -> tuple[Signer | None, str | None]:
    """Return the signer of a stored key, and the project that it names; (None, None) for a plain key.

    Raises:
        ConfigurationError: The credentials are malformed.
    """
    if row.credentials == "google":
        from serve.upstream.signing.google import GoogleSigner

        account = read_service_account(opened.secret, is_trusted=opened.key.account == DEFAULT_ACCOUNT)
        google = GoogleSigner(None, account)
        return google, google.project
    if row.dialect == "bedrock" and is_aws_pair(opened.secret):
        from serve.upstream.signing.aws import AwsSigner

        location = _location(row, configured, _region_row(row, configured), {})
        return AwsSigner(location or "us-east-1", keys=read_aws_pair(opened.secret)), None
    return None, None


def _open_account(
    row: ProviderRow, settings: Settings, environment: Mapping[str, str], notices: list[str]
) -> ProviderAccount | None:
    """Return the account at a provider; None: there is none, with a notice if the operator seems to want one.

    Raises:
        ConfigurationError: A region is not offered, or credentials cannot be used.
    """
    configured = settings.providers.get(row.id) or ProviderSettings.model_validate({})
    is_wanted = row.id in settings.providers
    if not configured.is_enabled:
        return None
    provider_key = find_provider_key(row, configured, environment)
    kind = configured.credentials or row.credentials
    if kind == "key" and provider_key is None and (row.needs_key or not is_wanted):
        if is_wanted:
            notices.append(
                f"{row.name}: no key was found in {configured.key_env or ' or '.join(row.key_env)}; "
                "its lanes are left out."
            )
        return None
    if kind != "key" and not is_wanted:
        if provider_key is not None:
            notices.append(
                f"{row.name}: credentials were found; say that they may be used, and where, under [providers.{row.id}]."
            )
        return None
    return _open(row, configured, environment, notices, kind, provider_key)


def find_provider_key(row: ProviderRow, configured: ProviderSettings, environment: Mapping[str, str]) -> str | None:
    """Return the provider key of the settings, else of the environment; None: there is none."""
    if configured.key is not None:
        return configured.key.get_secret_value().strip()
    names = (configured.key_env,) if configured.key_env else row.key_env
    return next((text.strip() for name in names if (text := environment.get(name, "")).strip()), None)


def _open(
    row: ProviderRow,
    configured: ProviderSettings,
    environment: Mapping[str, str],
    notices: list[str],
    kind: str,
    provider_key: str | None,
    signed: tuple[Signer | None, str | None] | None = None,
) -> ProviderAccount | None:
    region_row = _region_row(row, configured)
    location = _location(row, configured, region_row, environment)
    place = _place(row, location, notices)
    signer, project = signed or _signer(kind, configured, location, provider_key, environment)
    own_url = (region_row.base_url if region_row else None) or (place.base_url if place else None) or row.base_url
    template = configured.base_url or own_url
    if template is None:
        notices.append(f"{row.name}: a key was found, but its address is yours alone; set providers.{row.id}.base_url.")
        return None
    if "{project}" in template and project is None:
        raise ConfigurationError(f"providers.{row.id}.project: the credentials do not say which project; set it")
    headers = {"content-type": "application/json", **DIALECTS[row.dialect].headers, **row.headers}
    if provider_key and signer is None:
        headers[row.auth_header] = f"Bearer {provider_key}" if row.auth_header == "authorization" else provider_key
    return ProviderAccount(
        row=row,
        configured=configured,
        base_url=template.replace("{project}", project or "").replace("{location}", location or ""),
        price_factor=region_row.price_factor if region_row else place.price_factor if place else Decimal(1),
        headers=headers,
        region=configured.region or (place.region if place else row.region),
        signer=signer,
        region_row=region_row,
    )


def _region_row(row: ProviderRow, configured: ProviderSettings) -> RegionRow | None:
    if configured.region is None:
        return None
    region_row = row.regions.get(configured.region)
    if region_row is None and row.base_url is None:
        return None  # the address is the operator's own, so the catalogue does not know its region
    if region_row is None:
        offered = ", ".join(row.regions) or "none"
        raise ConfigurationError(
            f"providers.{row.id}.region: {configured.region!r} is not offered by {row.name} (offered: {offered})"
        )
    return region_row


def _location(
    row: ProviderRow, configured: ProviderSettings, region_row: RegionRow | None, environment: Mapping[str, str]
) -> str | None:
    chosen = configured.location or (region_row.location if region_row else None)
    named = next((environment[name] for name in row.location_env if environment.get(name)), None)
    return chosen or named or row.location


def _place(row: ProviderRow, location: str | None, notices: list[str]) -> PlaceRow | None:
    """Return the catalogue entry of a location; for an unknown one, no region and the provider's highest prices."""
    if not row.places or location is None:
        return None
    place = row.places.get(location)
    if place is not None:
        return place
    notices.append(f"{row.name}: the region of {location!r} is not known; its lanes satisfy no region constraint.")
    return PlaceRow(region=None, base_url=None, price_factor=max(other.price_factor for other in row.places.values()))


def _signer(
    kind: str,
    configured: ProviderSettings,
    location: str | None,
    provider_key: str | None,
    environment: Mapping[str, str],
) -> tuple[Signer | None, str | None]:
    """Return the signer of an account, and the project that its credentials name."""
    if kind == "aws":
        from serve.upstream.signing.aws import AwsSigner

        return AwsSigner(location or "us-east-1", configured.profile), None
    if kind == "google":
        from serve.upstream.signing.google import GoogleSigner

        google = GoogleSigner(None if provider_key is None else Path(provider_key))
        return google, configured.project or environment.get("GOOGLE_CLOUD_PROJECT") or google.project
    return None, configured.project
