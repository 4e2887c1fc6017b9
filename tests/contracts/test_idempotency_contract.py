"""What every database must do with requests that come with an idempotency key."""

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from serve.idempotency.repository import Claim, Finding, IdempotencyRepository, StoredAnswer

UNTIL, EXPIRES = 60, 1_000
ANSWER = StoredAnswer(200, [("content-type", "application/json"), ("x-llmdeal-lane", "box/llama")], b"\x00\xff{}", True)


@pytest.fixture
def requests(engine: Engine) -> IdempotencyRepository:
    return IdempotencyRepository(engine)


def claim(claim_id: str = "first", fingerprint: bytes = b"\x00same", key: str = "k", account: str = "default") -> Claim:
    return Claim(account, key, fingerprint, claim_id)


def ask(requests: IdempotencyRepository, asked: Claim, now: int = 1) -> str:
    return requests.claim(asked, now, now + UNTIL, now + EXPIRES).state


def test_a_key_is_claimed_once_and_stands_for_one_request(requests: IdempotencyRepository) -> None:
    assert ask(requests, claim()) == "claimed"
    assert ask(requests, claim("second")) == "under_way"
    assert ask(requests, claim("second", b"other")) == "other_request"
    assert ask(requests, claim("second", account="acme")) == "claimed"
    assert ask(requests, claim("second", key="l")) == "claimed"


def test_what_was_answered_is_found_as_it_was(requests: IdempotencyRepository) -> None:
    ask(requests, claim())
    assert requests.finish(claim(), ANSWER)
    assert requests.claim(claim("second"), 2, 9, 9) == Finding("answered", ANSWER)
    assert ask(requests, claim("second", b"other")) == "other_request"
    assert not requests.finish(claim(), ANSWER)


def test_an_answer_that_was_not_kept_is_told_from_none(requests: IdempotencyRepository) -> None:
    unkept = StoredAnswer(200, [], None, False)
    ask(requests, claim())
    requests.finish(claim(), unkept)
    assert requests.claim(claim("second"), 2, 9, 9) == Finding("answered", unkept)


def test_a_request_that_failed_frees_its_key_and_only_whoever_claimed_it_can(requests: IdempotencyRepository) -> None:
    ask(requests, claim())
    requests.release(claim("stranger"))
    assert ask(requests, claim("second")) == "under_way"
    requests.release(claim())
    assert ask(requests, claim("second", b"other")) == "claimed"


def test_an_answer_outlives_a_release_that_comes_too_late(requests: IdempotencyRepository) -> None:
    ask(requests, claim())
    requests.finish(claim(), ANSWER)
    requests.release(claim())
    assert ask(requests, claim("second")) == "answered"


def test_a_worker_that_is_gone_is_followed_by_another_and_its_late_answer_is_not_taken(
    requests: IdempotencyRepository,
) -> None:
    ask(requests, claim(), now=1)
    requests.renew(["first", "others"], 200)
    assert ask(requests, claim("second"), now=199) == "under_way"
    assert ask(requests, claim("second", b"other"), now=200) == "other_request"
    assert ask(requests, claim("second"), now=200) == "claimed"
    assert not requests.finish(claim("first"), ANSWER)
    requests.release(claim("first"))
    assert requests.finish(claim("second"), ANSWER)


def test_after_its_time_a_key_may_stand_for_something_else(requests: IdempotencyRepository) -> None:
    ask(requests, claim(), now=1)
    requests.finish(claim(), ANSWER)
    assert ask(requests, claim("second", b"other"), now=EXPIRES) == "other_request"
    assert ask(requests, claim("second", b"other"), now=EXPIRES + 1) == "claimed"
    assert (
        ask(requests, claim("third", b"other"), now=EXPIRES + 2) == "under_way"
    )  # and nothing is left of the old answer
    assert requests.finish(claim("second", b"other"), ANSWER)


def test_what_has_expired_is_swept_away_with_its_content(requests: IdempotencyRepository) -> None:
    for key, now in (("old", 1), ("new", 500)):
        ask(requests, claim(key=key), now)
        requests.finish(claim(key=key), ANSWER)
    assert requests.sweep(1 + EXPIRES) == 1
    assert ask(requests, claim("second", key="new"), 600) == "answered"
    assert ask(requests, claim("second", key="old"), 600) == "claimed"


def test_of_many_that_ask_at_once_one_is_let_through(new_url: str, open_engine: Callable[[str], Engine]) -> None:
    workers = [IdempotencyRepository(open_engine(new_url)) for _ in range(4)]
    states: list[str] = []

    def work(number: int) -> None:
        states.extend(ask(workers[number], claim(f"worker-{number}", key=f"key-{key}")) for key in range(20))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(states) == ["claimed"] * 20 + ["under_way"] * 60
