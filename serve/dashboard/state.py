"""The dashboard's own parts. `install_dashboard` makes them, and the application keeps them."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from fastapi import FastAPI

from serve.dashboard.queries.sample_query import SampleReader
from serve.dashboard.queries.usage_query import UsageReader
from serve.dashboard.sessions import Sessions
from serve.dashboard.views.runner_up import PolicyDefaults
from serve.settings import Settings


@dataclass(frozen=True, slots=True)
class DashboardState:
    """The parts of the dashboard.

    Args:
        sessions: Cookies and form tokens.
        usage: Sums of usage; those of the past are remembered.
        samples: Random answers, remembered for a while.
        time_zone: Time zone of the days and months that are shown.
        keeps_text: Whether prompts and answers are logged.
        policy_defaults: Values that policies use if a caller sets none.
        settings: Settings that the gateway was started with; secrets are never shown.
    """

    sessions: Sessions
    usage: UsageReader
    samples: SampleReader
    time_zone: ZoneInfo
    keeps_text: bool
    policy_defaults: PolicyDefaults
    settings: Settings


def dashboard_of(app: FastAPI) -> DashboardState:
    """Return the dashboard of a running application."""
    state: DashboardState = app.state.dashboard
    return state
