"""Holds and settlements under concurrency, over restarts, and while the database does not answer."""

import asyncio
import os
import random
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, event

from serve.money.budget import BudgetRule
from serve.money.budget_keeper import BudgetKeeper, KeeperTimes
from serve.money.budget_repository import BudgetRepository
from serve.money.charge_journal import ChargeJournal, HoldRecord, abandoned_journals
from serve.money.hold import BudgetAway, BudgetSpent, Hold
from serve.storage.database import open_database

ACCOUNT, OPENAI, FREE = "account:default", "provider_key:openai", "provider_key:free"
MONTH = "2026-11"
QUIET = KeeperTimes(settle_s=3_600, rules_s=3_600, watch_s=3_600, idle_s=3_600, refused_s=0.25)


class SetClock:
    """A clock that stands still until a test sets it."""

    def __init__(self) -> None:
        self.instant = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
        self.seconds = 1_000.0

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(str(tmp_path / "money.db"))
    yield engine
    engine.dispose()


@pytest.fixture
def repository(engine: Engine) -> BudgetRepository:
    repository = BudgetRepository(engine)
    repository.set_rule(BudgetRule(ACCOUNT, 10_000, ZoneInfo("UTC")))
    repository.set_rule(BudgetRule(OPENAI, 1_000, ZoneInfo("UTC")))
    return repository


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@asynccontextmanager
async def running(
    repository: BudgetRepository,
    folder: Path,
    clock: SetClock,
    times: KeeperTimes = QUIET,
    worker_id: str | None = None,
) -> AsyncIterator[BudgetKeeper]:
    keeper = BudgetKeeper(repository, folder / "journals", clock, times, worker_id)
    await keeper.start()
    try:
        yield keeper
    finally:
        await keeper.close()


async def hold(keeper: BudgetKeeper, charge_id: str, amount: int, *scopes: str) -> Hold:
    return await keeper.hold(charge_id, scopes or (ACCOUNT, OPENAI), amount, "openai/gpt", "prices")


def spent(repository: BudgetRepository, scope: str = OPENAI, month: str = MONTH) -> tuple[int, int]:
    [state] = repository.states([(scope, month)])
    assert repository.ledger_total(scope, month) == state.spent_nusd
    return state.spent_nusd, state.leased_nusd


def test_what_is_held_is_settled_once_and_the_rest_is_given_back(
    repository: BudgetRepository, tmp_path: Path, clock: SetClock
) -> None:
    async def scenario() -> None:
        async with running(repository, tmp_path, clock) as keeper:
            held = await hold(keeper, "req_1/0", 300)
            keeper.settle(held, 120)
            keeper.settle(held, 999)
            dropped = await hold(keeper, "req_2/0", 300)
            keeper.settle(dropped, None)
            await keeper.flush()
            assert spent(repository)[0] == 120

    asyncio.run(scenario())
    assert spent(repository) == (120, 0)
    assert spent(repository, ACCOUNT) == (120, 0)
    assert list((tmp_path / "journals").iterdir()) == []


def test_no_interleaving_of_two_workers_spends_more_than_the_cap(
    repository: BudgetRepository, tmp_path: Path, clock: SetClock
) -> None:
    """Sixty-four callers at each of two workers want four times the budget; some settle late, some below their hold."""
    draw = random.Random(7)
    paid: list[int] = []
    refused: list[str] = []

    async def caller(keeper: BudgetKeeper, name: str) -> None:
        amount = draw.randint(5, 60)
        try:
            held = await hold(keeper, name, amount)
        except BudgetSpent as error:
            refused.append(error.scope)
            return
        for _ in range(draw.randint(0, 3)):
            await asyncio.sleep(0)
        cost = draw.choice([amount, amount // 2, None])
        keeper.settle(held, cost)
        paid.append(cost or 0)

    async def scenario() -> None:
        times = KeeperTimes(settle_s=0.001, rules_s=3_600, watch_s=3_600, idle_s=3_600, refused_s=0.0)
        async with (
            running(repository, tmp_path, clock, times) as one,
            running(repository, tmp_path, clock, times) as two,
        ):
            await asyncio.gather(
                *(caller(keeper, f"{n}/{w}") for n in range(64) for w, keeper in enumerate((one, two)))
            )

    asyncio.run(scenario())
    assert set(refused) == {OPENAI}
    assert spent(repository) == (sum(paid), 0)
    assert 700 <= sum(paid) <= 1_000


def test_a_spent_budget_names_its_scope_and_the_start_of_its_next_month(
    repository: BudgetRepository, tmp_path: Path, clock: SetClock
) -> None:
    async def scenario() -> None:
        async with running(repository, tmp_path, clock) as keeper:
            keeper.settle(await hold(keeper, "req_1/0", 900), 900)
            with pytest.raises(BudgetSpent) as caught:
                await hold(keeper, "req_2/0", 200)
            assert caught.value.scope == OPENAI
            assert caught.value.resets_at == datetime(2026, 12, 1, tzinfo=UTC)
            assert keeper.is_spent(OPENAI, 200)
            assert not keeper.is_spent(OPENAI, 50)
            assert not keeper.is_spent(ACCOUNT, 200)
            keeper.settle(await hold(keeper, "req_3/0", 100), 100)
            assert (await hold(keeper, "req_4/0", 5_000, ACCOUNT)).limited == ((ACCOUNT, MONTH),)

    asyncio.run(scenario())


def test_a_stream_over_midnight_is_charged_to_the_month_in_which_it_was_admitted(
    repository: BudgetRepository, tmp_path: Path, clock: SetClock
) -> None:
    repository.set_rule(BudgetRule(OPENAI, 1_000, ZoneInfo("America/New_York")))

    async def scenario() -> None:
        clock.instant = datetime(2026, 12, 1, 4, 59, tzinfo=UTC)  # still November in New York
        async with running(repository, tmp_path, clock) as keeper:
            held = await hold(keeper, "req_1/0", 100, OPENAI)
            clock.instant = datetime(2026, 12, 1, 5, 1, tzinfo=UTC)
            keeper.settle(held, 80)
            keeper.settle(await hold(keeper, "req_2/0", 100, OPENAI), 7)

    asyncio.run(scenario())
    assert spent(repository, month="2026-11") == (80, 0)
    assert spent(repository, month="2026-12") == (7, 0)


def test_a_scope_without_a_cap_is_charged_in_the_ledger_too(
    repository: BudgetRepository, tmp_path: Path, clock: SetClock
) -> None:
    async def scenario() -> None:
        async with running(repository, tmp_path, clock) as keeper:
            keeper.settle(await hold(keeper, "req_1/0", 10**12, FREE), 10**12)

    asyncio.run(scenario())
    assert spent(repository, FREE) == (10**12, 0)


def test_what_costs_more_than_was_held_is_charged_and_stops_what_comes_after(
    repository: BudgetRepository, tmp_path: Path, clock: SetClock
) -> None:
    async def scenario() -> None:
        async with running(repository, tmp_path, clock) as keeper:
            keeper.settle(await hold(keeper, "req_1/0", 600, OPENAI), 950)
            await keeper.flush()
            with pytest.raises(BudgetSpent):
                await hold(keeper, "req_2/0", 60, OPENAI)

    asyncio.run(scenario())
    assert spent(repository) == (950, 0)


def test_attempts_of_a_killed_worker_are_charged_by_its_journal(
    repository: BudgetRepository, tmp_path: Path, clock: SetClock
) -> None:
    async def killed() -> None:
        keeper = BudgetKeeper(repository, tmp_path / "journals", clock, QUIET)
        await keeper.start()
        keeper.settle(await hold(keeper, "settled/0", 100, OPENAI), 40)
        keeper.settle(await hold(keeper, "dropped/0", 100, OPENAI), None)
        streaming = await hold(keeper, "streaming/0", 100, OPENAI)
        keeper.progress(streaming, 15)
        keeper.progress(streaming, 25)
        await hold(keeper, "silent/0", 100, OPENAI)
        # As the operating system leaves it after `kill -9`: the journal is there, and its lock is gone.
        import os

        keeper._written._map.close()
        os.close(keeper._written._file)
        for task in keeper._tasks:
            task.cancel()

    async def next_start() -> None:
        async with running(repository, tmp_path, clock):
            assert spent(repository) == (40 + 25 + 100, 0)

    asyncio.run(killed())
    asyncio.run(next_start())
    asyncio.run(next_start())
    assert spent(repository) == (165, 0)
    assert list((tmp_path / "journals").iterdir()) == []


def test_the_journal_of_a_living_worker_is_left_alone(
    repository: BudgetRepository, tmp_path: Path, clock: SetClock
) -> None:
    async def scenario() -> None:
        async with running(repository, tmp_path, clock) as first:
            held = await hold(first, "req_1/0", 100, OPENAI)
            async with running(repository, tmp_path, clock) as second:
                second.sweep()
                assert spent(repository)[0] == 0
            first.settle(held, 60)

    asyncio.run(scenario())
    assert spent(repository) == (60, 0)


def test_an_attempt_that_costs_nothing_is_admitted_without_a_lease(
    repository: BudgetRepository, tmp_path: Path, clock: SetClock
) -> None:
    async def scenario() -> None:
        async with running(repository, tmp_path, clock) as keeper:
            keeper.settle(await asyncio.wait_for(hold(keeper, "req_1/0", 0), 5), 0)
            assert keeper.take_refused() == set()

    asyncio.run(scenario())
    assert spent(repository) == (0, 0)


def test_a_caps_change_is_seen_without_a_restart(repository: BudgetRepository, tmp_path: Path, clock: SetClock) -> None:
    async def scenario() -> None:
        async with running(repository, tmp_path, clock) as keeper:
            with pytest.raises(BudgetSpent):
                await hold(keeper, "req_1/0", 1_500)
            repository.set_rule(BudgetRule(OPENAI, 2_000, ZoneInfo("UTC")))
            keeper.read_rules()
            keeper.settle(await hold(keeper, "req_2/0", 1_500), 1_500)

    asyncio.run(scenario())
    assert spent(repository) == (1_500, 0)


def test_unused_leases_go_back_to_the_other_workers(
    repository: BudgetRepository, tmp_path: Path, clock: SetClock
) -> None:
    async def scenario() -> None:
        times = KeeperTimes(settle_s=3_600, rules_s=3_600, watch_s=3_600, idle_s=2.0)
        async with running(repository, tmp_path, clock, times) as keeper:
            keeper.settle(await hold(keeper, "req_1/0", 10, OPENAI), 10)
            await asyncio.gather(*keeper._leases.under_way)
            await keeper.flush()
            assert spent(repository)[1] > 0
            clock.seconds += 3
            await keeper.flush()
            assert spent(repository) == (10, 0)

    asyncio.run(scenario())


def test_a_database_that_goes_away_delays_the_ledger_and_loses_nothing(
    repository: BudgetRepository, engine: Engine, tmp_path: Path, clock: SetClock
) -> None:
    async def scenario() -> None:
        async with running(repository, tmp_path, clock) as keeper:
            held = await hold(keeper, "req_1/0", 10, OPENAI)
            keeper.settle(held, 10)
            await asyncio.gather(*keeper._leases.under_way)
            with engine.begin() as connection:
                connection.exec_driver_sql("ALTER TABLE ledger_entry RENAME TO ledger_elsewhere")
            await keeper.flush()
            with engine.begin() as connection:
                connection.exec_driver_sql("ALTER TABLE ledger_elsewhere RENAME TO ledger_entry")
            await keeper.flush()
            assert spent(repository)[0] == 10

    asyncio.run(scenario())


def test_a_journal_that_grows_is_rewritten_and_keeps_what_is_needed(
    repository: BudgetRepository, tmp_path: Path, clock: SetClock
) -> None:
    from serve.money.charge_journal import ChargeJournal, EndRecord, HoldRecord, abandoned_journals

    folder = tmp_path / "small"
    journal = ChargeJournal(folder, "worker", largest_bytes=1_000)
    for number in range(50):
        journal.write(HoldRecord(f"req/{number}", 10, ((OPENAI, MONTH),), "lane", "prices"))
        journal.write(EndRecord(f"req/{number}", 5, 1, False))
        if number != 7:
            journal.forget([f"req/{number}"])
    [path] = folder.iterdir()
    assert len(path.read_bytes().rstrip(b"\0")) < 2_000
    with abandoned_journals(folder, 9) as recoveries:
        assert recoveries == []
    journal.close()
    with abandoned_journals(folder, 9) as [recovered]:
        assert [charge.charge_id for charge in recovered.charges] == ["req/7"]
    assert list(folder.iterdir()) == []


@contextmanager
def busy(engine: Engine) -> Iterator[None]:
    """Let all other writers of the database wait while the block runs."""
    with engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield
        connection.exec_driver_sql("ROLLBACK")


def test_a_lease_is_not_lost_when_the_request_that_asked_for_it_is_cancelled(
    repository: BudgetRepository, engine: Engine, tmp_path: Path, clock: SetClock
) -> None:
    async def scenario() -> None:
        async with running(repository, tmp_path, clock) as keeper:
            with busy(engine):
                gone = asyncio.create_task(hold(keeper, "req_1/0", 300, OPENAI))
                await asyncio.sleep(0.05)
                gone.cancel()
                with suppress(asyncio.CancelledError):
                    await gone
            held = await hold(keeper, "req_2/0", 900, OPENAI)
            keeper.settle(held, 900)

    asyncio.run(scenario())
    assert spent(repository) == (900, 0)


def test_when_the_database_does_not_answer_all_waiting_requests_fail_at_once_and_it_is_asked_again_later(
    repository: BudgetRepository, tmp_path: Path, clock: SetClock
) -> None:
    engine = open_database(str(tmp_path / "money.db"), busy_timeout_ms=1)

    async def scenario() -> None:
        async with running(BudgetRepository(engine), tmp_path, clock) as keeper:
            with busy(engine):
                refused = await asyncio.gather(
                    *(hold(keeper, f"req_{n}/0", 10) for n in range(20)), return_exceptions=True
                )
                free = await hold(keeper, "req_free/0", 10, FREE)
            assert {type(error) for error in refused} == {BudgetAway}
            keeper.settle(free, 7)
            clock.seconds += 2
            keeper.settle(await hold(keeper, "req_20/0", 10), 10)

    asyncio.run(scenario())
    engine.dispose()
    assert spent(repository) == (10, 0)
    assert spent(repository, FREE) == (7, 0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_under_the_journal_refuses_holds_and_loses_no_charge(
    repository: BudgetRepository, tmp_path: Path, clock: SetClock
) -> None:
    async def scenario() -> None:
        async with running(repository, tmp_path, clock) as keeper:
            first = await hold(keeper, "req_1/0", 100)
            journal = keeper._written
            while len(journal._map) - journal._size > 400:  # nearly to the end of what was reserved for it
                keeper.progress(first, 1)
            file, journal._file = journal._file, os.open("/dev/full", os.O_RDWR)
            holds = await asyncio.gather(*(hold(keeper, f"full_{n}/0", 10) for n in range(10)), return_exceptions=True)
            assert isinstance(holds[-1], BudgetAway)
            for held in holds:
                if isinstance(held, Hold):
                    keeper.settle(held, None)
            keeper.settle(first, 60)
            os.close(journal._file)
            journal._file = file
            keeper.settle(await hold(keeper, "req_2/0", 940), 40)

    asyncio.run(scenario())
    assert spent(repository) == (100, 0)


def test_closing_settles_what_waits_behind_a_busy_database(
    repository: BudgetRepository, engine: Engine, tmp_path: Path, clock: SetClock
) -> None:
    """The sign of life is stuck, the batch of charges waits behind it, and the worker is stopped."""
    quick = KeeperTimes(settle_s=0.03, rules_s=3_600, watch_s=0.01, idle_s=3_600)

    async def scenario() -> None:
        keeper = BudgetKeeper(repository, tmp_path / "journals", clock, quick)
        await keeper.start()
        held = await hold(keeper, "req_1/0", 300, OPENAI)
        with busy(engine):
            keeper.settle(held, 120)
            await asyncio.sleep(0.1)
            closing = asyncio.create_task(keeper.close())
            await asyncio.sleep(0.05)
        await closing

    asyncio.run(scenario())
    assert spent(repository) == (120, 0)
    assert list((tmp_path / "journals").iterdir()) == []


def test_the_watch_goes_on_after_the_folder_of_the_journals_was_in_disorder(
    repository: BudgetRepository, tmp_path: Path, clock: SetClock
) -> None:
    folder = tmp_path / "journals"

    async def scenario() -> None:
        async with running(repository, tmp_path, clock, KeeperTimes(watch_s=0.01)):
            folder.rename(tmp_path / "moved")
            folder.write_text("in the way", encoding="utf-8")
            await asyncio.sleep(0.05)
            folder.unlink()
            (tmp_path / "moved").rename(folder)
            (folder / "gone.0.journal").write_text("", encoding="utf-8")
            async with asyncio.timeout(5):
                while (folder / "gone.0.journal").exists():  # noqa: ASYNC110 - a file has no event
                    await asyncio.sleep(0.01)

    asyncio.run(scenario())


def test_a_journal_that_is_rewritten_is_never_taken_for_an_abandoned_one(tmp_path: Path) -> None:
    journal = ChargeJournal(tmp_path, "alive", largest_bytes=1)
    journal.write(HoldRecord("req_1/0", 5, ((OPENAI, MONTH),), "openai/gpt", "prices"))
    is_over = threading.Event()

    def rewrite() -> None:
        while not is_over.is_set():
            journal.forget([])

    rewriter = threading.Thread(target=rewrite)
    rewriter.start()
    try:
        for _ in range(1_500):
            with abandoned_journals(tmp_path, 1) as recoveries:
                assert recoveries == []
    finally:
        is_over.set()
        rewriter.join()
    journal.forget(["req_1/0"])
    journal.close()
    assert list(tmp_path.iterdir()) == []


def test_leases_are_kept_for_charges_that_could_not_be_entered_before_the_end(
    repository: BudgetRepository, engine: Engine, tmp_path: Path, clock: SetClock
) -> None:
    async def scenario() -> None:
        async with running(repository, tmp_path, clock) as keeper:
            keeper.settle(await hold(keeper, "req_1/0", 300, OPENAI), 120)
            with engine.begin() as connection:
                connection.exec_driver_sql("ALTER TABLE ledger_entry RENAME TO ledger_elsewhere")
        with engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE ledger_elsewhere RENAME TO ledger_entry")
        total, leased = spent(repository)
        assert (total, leased >= 120) == (0, True)
        async with running(repository, tmp_path, clock):
            assert spent(repository) == (120, 0)

    asyncio.run(scenario())


def test_a_worker_that_ends_normally_settles_for_one_that_died_before(
    repository: BudgetRepository, tmp_path: Path, clock: SetClock
) -> None:
    async def scenario() -> None:
        async with running(repository, tmp_path, clock, worker_id="survivor"):
            dead = BudgetKeeper(repository, tmp_path / "journals", clock, QUIET, "dead")
            await dead.start()
            await hold(dead, "req_1/0", 300, OPENAI)
            await asyncio.gather(*dead._leases.under_way)
            dead._written._map.close()
            os.close(dead._written._file)  # as the kernel does when a process is killed
            for task in dead._tasks:
                task.cancel()
        assert spent(repository) == (300, 0)
        assert list((tmp_path / "journals").iterdir()) == []

    asyncio.run(scenario())


def test_a_loop_that_an_unforeseen_error_ended_begins_again_and_loses_no_charge(
    repository: BudgetRepository, engine: Engine, tmp_path: Path, clock: SetClock
) -> None:
    def raise_once(*arguments: object) -> None:
        if str(arguments[2]).startswith("INSERT INTO ledger_entry"):
            event.remove(engine, "before_cursor_execute", raise_once)
            raise RuntimeError("unforeseen")

    async def scenario() -> None:
        quick = KeeperTimes(settle_s=0.01, rules_s=3_600, watch_s=3_600, idle_s=3_600)
        async with running(repository, tmp_path, clock, quick) as keeper:
            event.listen(engine, "before_cursor_execute", raise_once)
            keeper.settle(await hold(keeper, "req_1/0", 300, OPENAI), 120)
            with pytest.raises(RuntimeError, match="unforeseen"):
                await keeper.follow()
            following = asyncio.create_task(keeper.follow())
            await asyncio.sleep(0)
            following.cancel()

    asyncio.run(scenario())
    assert spent(repository) == (120, 0)
