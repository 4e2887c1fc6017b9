"""What every database must do when a table of prices is kept aside: one alarm, and one alert a day."""

from sqlalchemy import Engine, select

from serve.alerts.watch_repository import WatchRepository
from serve.hot_swap.price_follower import ALARM, price_alarms
from serve.metrics import Metrics
from serve.prices.refresh import Refreshed
from serve.storage.alert_tables import BUDGET_ALERT_TABLE

HOUR_US = 3_600_000_000
REFRESHED = Refreshed("openrouter", "quarantined", ("1 rates of models in use move by half or more: a b 1 -> 2",), True)


def test_a_table_that_is_kept_aside_rings_and_is_sent_once_a_day(engine: Engine) -> None:
    metrics = Metrics()
    alarms = price_alarms(engine, metrics, has_alerts=True)
    for hour in (1, 2, 30):
        alarms.ring(REFRESHED, hour * HOUR_US)
    rang = WatchRepository(engine).alarms(0)
    assert [(alarm.kind, alarm.subject, alarm.rang_at_us // HOUR_US) for alarm in rang] == [
        (ALARM, "openrouter", hour) for hour in (30, 2, 1)
    ]
    assert "move by half or more" in rang[0].message
    with engine.connect() as connection:
        sent = connection.execute(select(BUDGET_ALERT_TABLE)).all()
    assert len(sent) == 2


def test_without_alerts_it_rings_and_nothing_is_sent(engine: Engine) -> None:
    price_alarms(engine, Metrics(), has_alerts=False).ring(REFRESHED, HOUR_US)
    assert len(WatchRepository(engine).alarms(0)) == 1
    with engine.connect() as connection:
        assert connection.execute(select(BUDGET_ALERT_TABLE)).all() == []
