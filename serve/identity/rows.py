"""Accounts, members, keys and audit entries as the database returns them; never a secret."""

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
    """A group of people and programs that shares keys, budgets and logs.

    Args:
        account: Short name of the account.
        title: Name that people call it.
        time_zone: Name of the time zone, in the IANA database, whose calendar months its budgets follow.
        hosted_lanes: Condition under which the operator's own lanes answer for it: never; when none of its own lanes
            is left; always, next to its own lanes.
        is_enabled: Whether its keys are accepted.
        created_at: Time at which it was opened.
        logged_content: Most that may be logged and exported of its requests; None: as much as the gateway logs.
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
    """A virtual key: a key that the gateway issued.

    Args:
        account: Account that owns the key.
        name: Name of the key; unique in the account, and never given again.
        shown: Beginning and end of its newest secret, for people to tell keys apart.
        scopes: Uses that are allowed: `inference`, `read`, `admin`, `owner`.
        lanes: Patterns of the lanes or vendor models that it may use, such as `anthropic/*`; empty: all.
        tags: Tags that are put on each of its requests.
        requests_per_minute, tokens_per_minute: Limits; None: no limit.
        expires_at: Time from which it is refused; None: it does not expire.
        created_at: Time at which it was issued.
        created_by: Name of the identity that issued it.
        revoked_at: Time at which it was revoked; None: it was not.
        last_used_at: Time of its latest use, to the minute; None: it was never used.
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
        """Its name in logs and in the scopes of budgets."""
        return qualified(self.account, self.name, DEFAULT_ACCOUNT)


@dataclass(frozen=True, slots=True)
class StoredProviderKey:
    """A provider key: a key that an account has at a provider.

    Args:
        account: Account that owns the key.
        provider: Id of the provider in the catalogue.
        name: Name of the key; unique among the account's keys at this provider.
        last_four: Last characters of the key, for people.
        fingerprint: Short hash of the key, for people.
        organisation: Name of the group of keys that share their rate limits; None: the key shares with no other.
        base_url, region: Address and region, as in the settings' `[providers.…]`.
        is_enabled: Whether its lanes are used.
        created_at: Time at which it was stored.
        created_by: Name of the identity that stored it.
        tested_at: Time at which the provider was last asked whether it accepts the key; None: never.
        test_outcome: Result of that test; None: there was no test.
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
    """One change of an account, a person or a key.

    Args:
        number: Number of the entry; it grows with time.
        at: Time of the change.
        account: Account that was changed.
        actor: Name of the identity that made the change.
        action: Kind of change, such as `virtual_key.create`.
        subject: Name of what was changed.
        details: Further facts; never a secret.
    """

    number: int
    at: datetime
    account: str
    actor: str
    action: str
    subject: str
    details: dict[str, Any]
