"""What every database keeps of accounts, people and keys."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert
from sqlalchemy.exc import IntegrityError

from serve.errors import BadRequestError, BadSignInError, ForbiddenError, NotFoundError
from serve.identity.account_desk import AccountDesk, Membership
from serve.identity.account_repository import AccountRepository
from serve.identity.audit_repository import AuditRepository
from serve.identity.key_budgets import KeyBudgets
from serve.identity.person_repository import PersonRepository
from serve.identity.roles import Actor, Role
from serve.identity.rows import Account, StoredVirtualKey
from serve.identity.sign_in import SESSION_LASTS, SignIn
from serve.identity.virtual_key_desk import KeyTerms, VirtualKeyDesk
from serve.identity.virtual_key_repository import VirtualKeyRepository
from serve.identity.virtual_keys import DEFAULT_ACCOUNT
from serve.storage.money_tables import BUDGET_RULE_TABLE
from serve.vault.data_key_repository import DataKeyRepository
from serve.vault.master_key import new_master_key, read_master_keys
from serve.vault.vault import Vault

PASSWORD = "correct horse battery"
ANN = Actor("ann", {"acme": Role.OWNER})


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


class NoBudgets:
    """The port to budgets, for tests that set none."""

    def limit_virtual_key(self, connection: Connection, key: Any, usd: Decimal, actor: Actor) -> None:
        raise AssertionError("no test of this file sets a budget that is accepted")

    limit_provider_key = limit_virtual_key


class RefusingDatabase(NoBudgets):
    """The port to budgets, where the database refuses the row: the cap is below zero."""

    def limit_virtual_key(self, connection: Connection, key: StoredVirtualKey, usd: Decimal, actor: Actor) -> None:
        row = {"scope": key.name, "cap_nusd": -1, "time_zone": "UTC", "is_from_settings": False}
        connection.execute(insert(BUDGET_RULE_TABLE).values(row))


class Uses:
    """Counts how often a desk asked this process to apply a change."""

    def __init__(self) -> None:
        self.n = 0

    def __call__(self) -> None:
        self.n += 1


@pytest.fixture
def uses() -> Uses:
    return Uses()


def open_desk(engine: Engine, audit: AuditRepository, uses: Uses, budgets: KeyBudgets | None = None) -> VirtualKeyDesk:
    vault = Vault(read_master_keys(new_master_key(), "test"), DataKeyRepository(engine), audit.now)
    accounts = AccountRepository(audit)
    return VirtualKeyDesk(VirtualKeyRepository(audit), accounts, audit, vault, budgets or NoBudgets(), uses)


@pytest.fixture
def desk(engine: Engine, audit: AuditRepository, uses: Uses) -> VirtualKeyDesk:
    return open_desk(engine, audit, uses)


@pytest.fixture
def keys(audit: AuditRepository) -> VirtualKeyRepository:
    return VirtualKeyRepository(audit)


@pytest.fixture
def sign_in(audit: AuditRepository, clock: HeldClock) -> SignIn:
    return SignIn(PersonRepository(audit), AccountRepository(audit), clock)


@pytest.fixture
def account_desk(audit: AuditRepository, sign_in: SignIn, uses: Uses) -> AccountDesk:
    return AccountDesk(AccountRepository(audit), PersonRepository(audit), sign_in, audit, uses)


def test_every_change_grows_the_version_and_a_failed_one_leaves_nothing(
    desk: VirtualKeyDesk, audit: AuditRepository, uses: Uses
) -> None:
    before = audit.version()
    desk.issue("acme", "ci", KeyTerms(), ANN)
    assert (audit.version(), uses.n) == (before + 1, 1)
    with pytest.raises(BadRequestError, match="another name"):
        desk.issue("acme", "ci", KeyTerms(), ANN)
    with pytest.raises(NotFoundError):
        desk.revoke("acme", "nobody", ANN)
    assert (audit.version(), uses.n) == (before + 1, 1)
    assert [entry.action for entry in audit.entries("acme")] == ["virtual_key.create", "account.create"]
    assert audit.entries("other") == []


def test_a_key_is_not_issued_where_the_database_refuses_its_budget(
    engine: Engine, audit: AuditRepository, keys: VirtualKeyRepository, uses: Uses
) -> None:
    desk, before = open_desk(engine, audit, uses, RefusingDatabase()), audit.version()
    with pytest.raises(IntegrityError):
        desk.issue("acme", "ci", KeyTerms(), ANN, budget_usd=Decimal(5))
    assert (keys.of_account("acme"), keys.accepted()) == ([], [])
    assert (audit.version(), uses.n) == (before, 0)
    assert [entry.action for entry in audit.entries("acme")] == ["account.create"]
    assert desk.issue("acme", "ci", KeyTerms(), ANN).key.name == "ci"


def test_a_desk_refuses_an_actor_whose_role_is_too_low(desk: VirtualKeyDesk, account_desk: AccountDesk) -> None:
    desk.issue("acme", "crown", KeyTerms(("owner",)), ANN)
    admin, viewer = Actor("adam", {"acme": Role.ADMIN}), Actor("vic", {"acme": Role.VIEWER})
    owner_elsewhere = Actor("eve", {"other": Role.OWNER})
    for refused in (
        lambda: desk.issue("acme", "second", KeyTerms(("inference", "owner")), admin),
        lambda: desk.rotate("acme", "crown", timedelta(0), admin),
        lambda: desk.change("acme", "crown", admin, tags=("mine",)),
        lambda: desk.issue("acme", "second", KeyTerms(), viewer),
        lambda: desk.revoke("acme", "crown", viewer),
        lambda: account_desk.set_member("acme", Membership("vic@example.com", Role.OWNER, PASSWORD), admin),
        lambda: account_desk.change("acme", ANN, hosted_lanes="always"),
        lambda: account_desk.open("mine", ANN),
    ):
        with pytest.raises(ForbiddenError):
            refused()
    with pytest.raises(NotFoundError):
        desk.issue("acme", "second", KeyTerms(), owner_elsewhere)


def test_versions_of_changes_at_once_are_all_counted(
    desk: VirtualKeyDesk, keys: VirtualKeyRepository, audit: AuditRepository
) -> None:
    before = audit.version()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: desk.issue("acme", f"key-{number}", KeyTerms(), ANN), range(24)))
    assert audit.version() == before + 24
    assert len(keys.accepted()) == 24


def test_what_is_accepted_follows_expiry_rotation_and_the_account(
    desk: VirtualKeyDesk, keys: VirtualKeyRepository, audit: AuditRepository, clock: HeldClock
) -> None:
    soon = clock.now() + timedelta(hours=2)
    terms = KeyTerms(lanes=("anthropic/*",), tags=("a", "b"), requests_per_minute=5, expires_at=soon)
    desk.issue("acme", "ci", terms, ANN)
    desk.rotate("acme", "ci", timedelta(hours=1), ANN)
    expiries = sorted(key.expires_at for key in keys.accepted() if key.expires_at)
    assert expiries == [clock.now() + timedelta(hours=1), soon]
    holder = keys.accepted()[0].holder
    assert (holder.virtual_key_id, holder.account, holder.lanes, holder.tags) == (
        "acme/ci",
        "acme",
        ("anthropic/*",),
        ("a", "b"),
    )
    AccountRepository(audit).change("acme", "ann", is_enabled=False)
    assert keys.accepted() == []


def test_an_account_keeps_an_owner(account_desk: AccountDesk, audit: AuditRepository) -> None:
    accounts = AccountRepository(audit)

    def put(email: str, role: Role, password: str | None = None) -> None:
        account_desk.set_member("acme", Membership(email, role, password), ANN)

    with pytest.raises(BadRequestError, match="at least one owner"):
        put("bob@example.com", Role.ADMIN, PASSWORD)
    put("Ann@Example.com", Role.OWNER, PASSWORD)
    put("bob@example.com", Role.ADMIN, PASSWORD)
    for change in (
        lambda: account_desk.remove_member("acme", "ann@example.com", ANN),
        lambda: put("ann@example.com", Role.VIEWER),
    ):
        with pytest.raises(BadRequestError, match="at least one owner"):
            change()
    assert [(member.email, member.role) for member in accounts.members("acme")] == [
        ("ann@example.com", Role.OWNER),
        ("bob@example.com", Role.ADMIN),
    ]
    with pytest.raises(BadRequestError, match="give a first password"):
        put("stranger@example.com", Role.VIEWER)
    with pytest.raises(BadRequestError, match="has one already"):
        put("bob@example.com", Role.VIEWER, PASSWORD)
    with pytest.raises(BadRequestError, match="no person"):
        accounts.set_member("acme", "stranger@example.com", Role.VIEWER, "test")


def test_an_account_whose_owner_is_refused_is_not_opened(account_desk: AccountDesk, audit: AuditRepository) -> None:
    operator = Actor("operator", {DEFAULT_ACCOUNT: Role.OWNER})
    for owner in (
        Membership("bob@example.com", Role.OWNER, "short"),
        Membership("bob@example.com", Role.VIEWER, PASSWORD),
    ):
        with pytest.raises(BadRequestError):
            account_desk.open("new", operator, owner=owner)
        assert AccountRepository(audit).find_or_none("new") is None
        assert audit.entries("new") == []
    assert account_desk.open("new", operator, owner=Membership("bob@example.com", Role.OWNER, PASSWORD)).title == "new"
    assert [entry.action for entry in audit.entries("new")] == ["member.set", "person.create", "account.create"]


def test_the_account_that_runs_the_gateway_cannot_be_closed(account_desk: AccountDesk, audit: AuditRepository) -> None:
    operator = Actor("operator", {DEFAULT_ACCOUNT: Role.OWNER})
    AccountRepository(audit).add_if_missing(Account(DEFAULT_ACCOUNT, "Default", "UTC", "never", True, audit.now()))
    with pytest.raises(BadRequestError, match="cannot be closed"):
        account_desk.change(DEFAULT_ACCOUNT, operator, is_enabled=False)
    assert not account_desk.change("acme", operator, is_enabled=False).is_enabled


def test_a_session_lasts_until_it_ends_expires_or_the_password_changes(
    account_desk: AccountDesk, sign_in: SignIn, clock: HeldClock
) -> None:
    account_desk.set_member("acme", Membership("ann@example.com", Role.OWNER, PASSWORD), ANN)
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


def test_the_log_is_paged_from_the_newest(desk: VirtualKeyDesk, audit: AuditRepository) -> None:
    for number in range(5):
        desk.issue("acme", f"key-{number}", KeyTerms(), ANN)
    newest = audit.entries("acme", limit=2)
    older = audit.entries("acme", before=newest[-1].number, limit=10)
    assert [entry.subject for entry in newest + older] == ["key-4", "key-3", "key-2", "key-1", "key-0", "acme"]
