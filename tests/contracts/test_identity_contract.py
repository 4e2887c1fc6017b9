"""What every database keeps of accounts, people and keys."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from serve.clock import Clock
from serve.errors import BadRequestError, BadSignInError, NotFoundError
from serve.identity.account_repository import AccountRepository
from serve.identity.audit_repository import AuditRepository
from serve.identity.issued_keys import IssuedKeys, KeyTerms
from serve.identity.person_repository import PersonRepository
from serve.identity.roles import Role
from serve.identity.rows import Account
from serve.identity.sign_in import SESSION_LASTS, SignIn
from serve.identity.virtual_key_repository import VirtualKeyRepository
from serve.vault.data_key_repository import DataKeyRepository
from serve.vault.master_key import new_master_key, read_master_keys
from serve.vault.vault import Vault

PASSWORD = "correct horse battery"


class HeldClock:
    def __init__(self) -> None:
        self.instant = datetime(2026, 11, 24, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        return self.instant.timestamp()


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def audit(engine: Engine, clock: HeldClock) -> AuditRepository:
    repository = AuditRepository(engine, clock.now)
    AccountRepository(repository).add(Account("acme", "Acme", "UTC", "never", True, clock.now()), "test")
    return repository


@pytest.fixture
def issued(engine: Engine, audit: AuditRepository, clock: HeldClock) -> IssuedKeys:
    vault = Vault(read_master_keys(new_master_key(), "test"), DataKeyRepository(engine), clock.now)
    return IssuedKeys(VirtualKeyRepository(audit), vault, clock.now)


def test_every_change_grows_the_version_and_a_failed_one_leaves_nothing(
    issued: IssuedKeys, audit: AuditRepository
) -> None:
    before = audit.version()
    issued.issue("acme", "ci", KeyTerms(), "ann")
    assert audit.version() == before + 1
    with pytest.raises(BadRequestError, match="another name"):
        issued.issue("acme", "ci", KeyTerms(), "ann")
    with pytest.raises(NotFoundError):
        issued.repository.revoke("acme", "nobody", "ann")
    assert audit.version() == before + 1
    assert [entry.action for entry in audit.entries("acme")] == ["virtual_key.create", "account.create"]
    assert audit.entries("other") == []


def test_versions_of_changes_at_once_are_all_counted(issued: IssuedKeys, audit: AuditRepository) -> None:
    before = audit.version()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: issued.issue("acme", f"key-{number}", KeyTerms(), "ann"), range(24)))
    assert audit.version() == before + 24
    assert len(issued.accepted()) == 24


def test_what_is_accepted_follows_expiry_rotation_and_the_account(
    issued: IssuedKeys, audit: AuditRepository, clock: HeldClock
) -> None:
    soon = clock.now() + timedelta(hours=2)
    issued.issue(
        "acme", "ci", KeyTerms(lanes=("anthropic/*",), tags=("a", "b"), requests_per_minute=5, expires_at=soon), "ann"
    )
    issued.rotate("acme", "ci", timedelta(hours=1), "ann")
    expiries = sorted(key.expires_at for key in issued.accepted() if key.expires_at)
    assert expiries == [clock.now() + timedelta(hours=1), soon]
    holder = issued.accepted()[0].holder
    assert (holder.virtual_key_id, holder.account, holder.lanes, holder.tags) == (
        "acme/ci",
        "acme",
        ("anthropic/*",),
        ("a", "b"),
    )
    AccountRepository(audit).change("acme", "ann", is_enabled=False)
    assert issued.accepted() == []


def test_an_account_keeps_an_owner(engine: Engine, audit: AuditRepository, clock: Clock) -> None:
    accounts, people = AccountRepository(audit), PersonRepository(audit)
    sign_in = SignIn(people, accounts, clock)
    for email in ("Ann@Example.com", "bob@example.com"):
        sign_in.add_person("acme", email, PASSWORD, "test")
    with pytest.raises(BadRequestError, match="at least one owner"):
        accounts.set_member("acme", "bob@example.com", Role.ADMIN, "test")
    accounts.set_member("acme", "ann@example.com", Role.OWNER, "test")
    accounts.set_member("acme", "bob@example.com", Role.ADMIN, "test")
    for change in (lambda: accounts.remove_member("acme", "ann@example.com", "test"), lambda: accounts.set_member("acme", "ann@example.com", Role.VIEWER, "test")):  # fmt: skip
        with pytest.raises(BadRequestError, match="at least one owner"):
            change()
    assert [(member.email, member.role) for member in accounts.members("acme")] == [
        ("ann@example.com", Role.OWNER),
        ("bob@example.com", Role.ADMIN),
    ]
    with pytest.raises(BadRequestError, match="no person"):
        accounts.set_member("acme", "stranger@example.com", Role.VIEWER, "test")


def test_a_session_lasts_until_it_ends_expires_or_the_password_changes(
    audit: AuditRepository, clock: HeldClock
) -> None:
    accounts = AccountRepository(audit)
    sign_in = SignIn(PersonRepository(audit), accounts, clock)
    sign_in.add_person("acme", "ann@example.com", PASSWORD, "test")
    accounts.set_member("acme", "ann@example.com", Role.OWNER, "test")
    for email, password in (("ann@example.com", "wrong"), ("nobody@example.com", PASSWORD)):
        with pytest.raises(BadSignInError):
            sign_in.sign_in(email, password)

    def is_in(secret: str) -> bool:
        return sign_in.actor_of(secret) is not None

    first = sign_in.sign_in("ANN@example.com ", PASSWORD)
    actor = sign_in.actor_of(first)
    assert actor is not None
    assert (actor.name, actor.roles) == ("ann@example.com", {"acme": Role.OWNER})
    sign_in.sign_out(first)
    assert not is_in(first)
    second = sign_in.sign_in("ann@example.com", PASSWORD)
    sign_in.set_password("acme", "ann@example.com", "another good one", "ann@example.com")
    assert not is_in(second)
    third = sign_in.sign_in("ann@example.com", "another good one")
    clock.instant += SESSION_LASTS
    assert not is_in(third)


def test_the_log_is_paged_from_the_newest(issued: IssuedKeys, audit: AuditRepository) -> None:
    for number in range(5):
        issued.issue("acme", f"key-{number}", KeyTerms(), "ann")
    newest = audit.entries("acme", limit=2)
    older = audit.entries("acme", before=newest[-1].number, limit=10)
    assert [entry.subject for entry in newest + older] == ["key-4", "key-3", "key-2", "key-1", "key-0", "acme"]
