"""Sums over attempts."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Engine, Integer, case, func, select

from serve.instant import to_microseconds
from serve.storage.tables import ATTEMPT_TABLE

_ATTEMPT: Final = ATTEMPT_TABLE.c
_DAY_US: Final = 86_400_000_000
_EPOCH: Final = date(1970, 1, 1)
USAGE_GROUPS: Final[dict[str, Any]] = {
    "day": _ATTEMPT.started_at_us // _DAY_US,
    "lane": _ATTEMPT.lane_id,
    "model": _ATTEMPT.vendor_model,
    "provider": _ATTEMPT.provider,
    "virtual_key": _ATTEMPT.virtual_key_id,
}


@dataclass(frozen=True, slots=True)
class UsageRow:
    """The usage of one group of attempts.

    Args:
        key: Name of the group, such as `2026-11-24` or a lane.
        n_requests: Number of requests.
        n_attempts: Number of upstream calls.
        n_failed: Number of upstream calls that did not answer.
        prompt_tokens: Input tokens, as the providers count them.
        completion_tokens: Output tokens, as the providers count them.
        cost_nusd: Cost in nano-dollars.
    """

    key: str
    n_requests: int
    n_attempts: int
    n_failed: int
    prompt_tokens: int
    completion_tokens: int
    cost_nusd: int


class UsageRepository:
    """Reads usage.

    Args:
        engine: SQLite or PostgreSQL.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def usage(self, account: str, by: str, since: datetime, until: datetime) -> list[UsageRow]:
        """Return an account's usage in since <= t < until.

        Args:
            account: Account that made the requests.
            by: Grouping: `day`, `lane`, `model`, `provider` or `virtual_key`.
            since: First instant, aware.
            until: First instant after the window, aware.
        """
        group = USAGE_GROUPS[by].label("key")
        sums = [
            func.coalesce(func.sum(column), 0)
            for column in (_ATTEMPT.prompt_tokens, _ATTEMPT.completion_tokens, _ATTEMPT.cost_nusd)
        ]
        query = (
            select(
                group,
                func.count(_ATTEMPT.request_id.distinct()),
                func.count(),
                func.sum(case((_ATTEMPT.outcome == "ok", 0), else_=1).cast(Integer)),
                *sums,
            )
            .where(_ATTEMPT.account == account)
            .where(
                (_ATTEMPT.started_at_us >= to_microseconds(since)) & (_ATTEMPT.started_at_us < to_microseconds(until))
            )
            .group_by(group)
            .order_by(group)
        )
        with self._engine.connect() as connection:
            return [UsageRow(_key(by, row[0]), *(int(value) for value in row[1:])) for row in connection.execute(query)]


def _key(by: str, stored: Any) -> str:
    return (_EPOCH + timedelta(days=int(stored))).isoformat() if by == "day" else str(stored)
