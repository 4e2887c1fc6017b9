"""The bodies that the admin API accepts, and the JSON that it returns."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from serve.identity.rows import Account, AuditEntry, HostedLanes, Member, StoredProviderKey, StoredVirtualKey
from serve.money.budget import BudgetState
from serve.settings import ContentLogging, KeyScope

Text = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
Texts = Annotated[tuple[Text, ...], Field(max_length=64)]
Limit = Annotated[int, Field(ge=1, le=2**53 - 1)]
RoleWord = Literal["viewer", "admin", "owner"]


class Body(BaseModel):
    """The body of a request; fields that it does not have are refused."""

    model_config = ConfigDict(extra="forbid")


class NewAccount(Body):
    """A new account."""

    account: Annotated[str, Field(max_length=64, description="Its short name: a-z, 0-9, '-', '_', '.'.")]
    title: Text = ""
    time_zone: Annotated[
        str, Field(max_length=64, description="Time zone whose months its budgets follow: Europe/Berlin.")
    ] = "UTC"
    hosted_lanes: HostedLanes = "when_spent"


class AccountChange(Body):
    """New values of an account; a field that is absent stays as it is."""

    title: Text | None = None
    time_zone: Annotated[str, Field(max_length=64)] | None = None
    hosted_lanes: HostedLanes | None = None
    is_enabled: bool | None = None
    logged_content: Annotated[
        ContentLogging | None,
        Field(description="Most that is logged and exported of its requests; null: as much as the gateway logs."),
    ] = None


class Forgetting(Body):
    """How much of an account's requests is deleted."""

    rows: Annotated[bool, Field(description="Delete the rows too, not only their contents.")] = False


class NewMember(Body):
    """A member of an account; with a first password if the person is new to the gateway."""

    email: Annotated[str, Field(max_length=254)]
    role: RoleWord
    password: Annotated[SecretStr, Field(max_length=1_000)] | None = None


class NewVirtualKey(Body):
    """A new virtual key."""

    name: Annotated[str, Field(max_length=64)]
    scopes: Annotated[tuple[KeyScope, ...], Field(min_length=1, max_length=4)] = ("inference",)
    lanes: Annotated[Texts, Field(description="Patterns of lanes, vendor models or providers; empty: all.")] = ()
    tags: Texts = ()
    requests_per_minute: Limit | None = None
    tokens_per_minute: Limit | None = None
    expires_at: datetime | None = None
    monthly_budget_usd: Annotated[Decimal, Field(ge=0, max_digits=18)] | None = None
    is_test: bool = False


class VirtualKeyChange(Body):
    """New terms of a virtual key; a field that is absent stays as it is, null lifts a limit."""

    scopes: Annotated[tuple[KeyScope, ...], Field(min_length=1, max_length=4)] = ("inference",)
    lanes: Texts = ()
    tags: Texts = ()
    requests_per_minute: Limit | None = None
    tokens_per_minute: Limit | None = None
    expires_at: datetime | None = None


class Rotation(Body):
    """How long the old secret is still accepted."""

    overlap_s: Annotated[int, Field(ge=0, le=30 * 86_400)] = 86_400


class NewProviderKey(Body):
    """A new provider key."""

    key: Annotated[SecretStr, Field(max_length=10_000)]
    provider: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="Absent: the provider whose keys begin like this one."
    )
    name: Annotated[str, Field(max_length=64)] = "main"
    organisation: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="Keys of one organisation share its rate limits."
    )
    base_url: Annotated[str, Field(max_length=500)] | None = None
    region: Literal["eu", "us"] | None = None
    monthly_budget_usd: Annotated[Decimal, Field(ge=0, max_digits=18)] | None = None


class ProviderKeyChange(Body):
    """New values of a provider key; a field that is absent stays as it is. `key` replaces the secret."""

    key: Annotated[SecretStr, Field(max_length=10_000)] | None = None
    is_enabled: bool | None = None
    organisation: Annotated[str, Field(max_length=64)] | None = None
    region: Literal["eu", "us"] | None = None


class NewBudget(Body):
    """A monthly budget."""

    scope: Text
    monthly_usd: Annotated[Decimal, Field(ge=0, max_digits=18)]


def account_shape(account: Account) -> dict[str, Any]:
    """Return an account as JSON."""
    return {
        "account": account.account,
        "title": account.title,
        "time_zone": account.time_zone,
        "hosted_lanes": account.hosted_lanes,
        "is_enabled": account.is_enabled,
        "logged_content": account.logged_content,
        "created_at": instant_text(account.created_at),
    }


def member_shape(member: Member) -> dict[str, Any]:
    """Return a member as JSON."""
    return {"email": member.email, "role": member.role.word, "joined_at": instant_text(member.joined_at)}


def virtual_key_shape(key: StoredVirtualKey, secret: str | None = None) -> dict[str, Any]:
    """Return a virtual key as JSON; with its secret, for the one time that the secret is shown."""
    return {
        "name": key.name,
        "virtual_key_id": key.virtual_key_id,
        "shown": key.shown,
        "scopes": list(key.scopes),
        "lanes": list(key.lanes),
        "tags": list(key.tags),
        "requests_per_minute": key.requests_per_minute,
        "tokens_per_minute": key.tokens_per_minute,
        "expires_at": instant_text(key.expires_at),
        "created_at": instant_text(key.created_at),
        "created_by": key.created_by,
        "revoked_at": instant_text(key.revoked_at),
        "last_used_at": instant_text(key.last_used_at),
        **({} if secret is None else {"key": secret}),
    }


def provider_key_shape(key: StoredProviderKey) -> dict[str, Any]:
    """Return a provider key as JSON: its last four characters and its fingerprint, never itself."""
    return {
        "provider": key.provider,
        "name": key.name,
        "lanes": f"{key.lane_prefix}/*",
        "scope": f"provider_key:{key.payer}",
        "last_four": key.last_four,
        "fingerprint": key.fingerprint,
        "organisation": key.organisation,
        "base_url": key.base_url,
        "region": key.region,
        "is_enabled": key.is_enabled,
        "created_at": instant_text(key.created_at),
        "created_by": key.created_by,
        "tested_at": instant_text(key.tested_at),
        "test_outcome": key.test_outcome,
    }


def budget_shape(state: BudgetState) -> dict[str, Any]:
    """Return one month of a budget as JSON; money as decimal strings of USD."""
    cap = state.cap_nusd
    return {
        "scope": state.scope,
        "period": state.period,
        "monthly_usd": None if cap is None else usd_text(cap),
        "spent_usd": usd_text(state.spent_nusd),
        "reserved_usd": usd_text(state.leased_nusd),
        "left_usd": None if cap is None else usd_text(max(cap - state.spent_nusd, 0)),
    }


def audit_shape(entry: AuditEntry) -> dict[str, Any]:
    """Return an audit entry as JSON."""
    return {
        "number": entry.number,
        "at": instant_text(entry.at),
        "account": entry.account,
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "details": entry.details,
    }


def usd_text(nusd: int) -> str:
    """Return nano-dollars as a decimal string of USD, exactly."""
    return f"{Decimal(nusd).scaleb(-9):.9f}"


def instant_text(instant: datetime | None) -> str | None:
    """Return a time as the API writes it."""
    return None if instant is None else instant.isoformat(timespec="seconds").replace("+00:00", "Z")
