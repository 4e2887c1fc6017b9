"""What is known of accounts, people and keys, as the storage gives it; never a secret."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from serve.identity.names import qualified
from serve.identity.roles import Role
from serve.identity.virtual_keys import DEFAULT_ACCOUNT
from serve.settings import ContentLogging

HostedLanes = Literal["never", "when_spent", "always"]


@dataclass(frozen=True, slots=True)
class Account:
    """Whoever shares keys, budgets and logs.

    Args:
        account: Its short name.
        title: What people call it.
        time_zone: Whose calendar months its budgets follow, as in the IANA database.
        hosted_lanes: When the operator's own lanes answer for it: never; when none of its own is left; always, beside its own.
        is_enabled: False: its keys are refused.
        created_at: When it was opened.
        logged_content: What of its requests may be logged and exported at most; None: as much as the gateway logs.
    """

    account: str
    title: str
    time_zone: str
    hosted_lanes: HostedLanes
    is_enabled: bool
    created_at: datetime
    logged_content: ContentLogging | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """One person in one account."""

    account: str
    email: str
    role: Role
    joined_at: datetime


@dataclass(frozen=True, slots=True)
class StoredVirtualKey:
    """A key that we issued.

    Args:
        account: Whose.
        name: Unique in the account, for ever.
        shown: Beginning and end of the newest secret.
        scopes: What it may be used for: `inference`, `read`, `admin`.
        lanes: Patterns of lanes or vendor models that it may use, such as `anthropic/*`; empty: all.
        tags: Put on each of its requests.
        requests_per_minute, tokens_per_minute: None: no limit.
        expires_at, revoked_at: None: does not, was not.
        created_at, created_by: When, and by whom.
        last_used_at: To the minute.
    """

    account: str
    name: str
    shown: str
    scopes: tuple[str, ...]
    lanes: tuple[str, ...]
    tags: tuple[str, ...]
    requests_per_minute: int | None
    tokens_per_minute: int | None
    expires_at: datetime | None
    created_at: datetime
    created_by: str
    revoked_at: datetime | None
    last_used_at: datetime | None

    @property
    def virtual_key_id(self) -> str:
        """Its name in logs and scopes."""
        return qualified(self.account, self.name, DEFAULT_ACCOUNT)


@dataclass(frozen=True, slots=True)
class StoredProviderKey:
    """A key of ours at a provider.

    Args:
        account: Whose.
        provider: As in the catalogue.
        name: Unique among the account's keys there.
        last_four, fingerprint: Of the key, for people.
        organisation: Keys of one share its rate limits; None: this key is alone.
        base_url, region: As in the settings' `[providers.…]`.
        is_enabled: False: its lanes are left out.
        created_at, created_by: When, and by whom.
        tested_at, test_outcome: When the provider was last asked whether it takes it, and what it said.
    """

    account: str
    provider: str
    name: str
    last_four: str
    fingerprint: str
    organisation: str | None
    base_url: str | None
    region: str | None
    is_enabled: bool
    created_at: datetime
    created_by: str
    tested_at: datetime | None
    test_outcome: str | None

    @property
    def lane_prefix(self) -> str:
        """The first part of its lanes' ids."""
        return f"{self.provider}@{self.name}"

    @property
    def payer(self) -> str:
        """Its name in the scopes of budgets."""
        return qualified(self.account, self.lane_prefix, DEFAULT_ACCOUNT)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change.

    Args:
        number: Grows.
        at: When.
        account: Where.
        actor: Who.
        action: What was done, such as `virtual_key.create`.
        subject: To what.
        details: Beside that; never a secret.
    """

    number: int
    at: datetime
    account: str
    actor: str
    action: str
    subject: str
    details: dict[str, Any]
