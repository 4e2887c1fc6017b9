"""The stages that a history of bundles leads to, and the conversations that a canary takes."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from serve.bundles.staging import StageChange, StageEntry, Staging, Standing, staging_of
from serve.routing.canary import Canary

NOW = datetime(2026, 11, 26, tzinfo=UTC)
STANDINGS = [Standing(f"night-{number}", f"night-{number}+0") for number in range(4)]
CHANGES = st.sampled_from(
    [StageChange("promote", "champion", standing) for standing in STANDINGS]
    + [StageChange("rollback", "champion", Standing("before", "before+0"))]
    + [StageChange("canary", "canary", replace(standing, share=0.1)) for standing in STANDINGS]
    + [StageChange("shadow", "shadow", standing) for standing in STANDINGS]
    + [StageChange("stop", "canary", STANDINGS[0]), StageChange("stop", "shadow", STANDINGS[0])]
)


def history(changes: list[StageChange]) -> list[StageEntry]:
    return [StageEntry(number, NOW, "somebody", change) for number, change in enumerate(changes, start=1)]


@given(st.lists(CHANGES, max_size=12))
def test_a_rollback_undoes_a_promotion_and_nothing_else(changes: list[StageChange]) -> None:
    before = staging_of(history(changes))
    promoted = before.after(before.number + 1, StageChange("promote", "champion", STANDINGS[1]))
    back = promoted.after(
        promoted.number + 1, StageChange("rollback", "champion", before.champion or Standing("x", "x+0"))
    )
    assert promoted.champion == STANDINGS[1]
    assert back.promoted == before.promoted


@given(st.lists(CHANGES, max_size=12))
def test_nothing_is_tried_against_itself_once_it_was_promoted(changes: list[StageChange]) -> None:
    staging = staging_of(history([*changes, StageChange("promote", "champion", STANDINGS[2])]))
    assert staging.champion == STANDINGS[2]
    assert STANDINGS[2].version not in {each.version for each in (staging.canary, staging.shadow) if each is not None}


@given(st.lists(CHANGES, max_size=12))
def test_a_history_is_read_line_by_line(changes: list[StageChange]) -> None:
    entries = history(changes)
    staging = Staging()
    for entry in entries:
        staging = staging.after(entry.number, entry.change)
    assert staging == staging_of(entries)
    assert staging.number == len(changes)


def taken(canary: Canary, count: int = 4_000) -> set[str]:
    return {name for name in (f"{number:024x}" for number in range(count)) if canary.takes(name)}


def test_a_canary_takes_its_share_and_keeps_what_it_took_while_it_grows() -> None:
    shares = [taken(Canary(Standing("b", "b+1", share), {})) for share in (0.05, 0.2, 0.8)]
    assert shares[0] < shares[1] < shares[2]
    for share, names in zip((0.05, 0.2, 0.8), shares, strict=True):
        assert abs(len(names) / 4_000 - share) < 4 * (share * (1 - share) / 4_000) ** 0.5


def test_the_next_canary_takes_other_conversations() -> None:
    first, second = (
        taken(Canary(Standing("b", version, 0.5), {})) for version in ("night-1+0a1b2c3d", "night-2+4e5f6071")
    )
    both = len(first & second) / 4_000
    assert abs(both - 0.25) < 4 * (0.25 * 0.75 / 4_000) ** 0.5
