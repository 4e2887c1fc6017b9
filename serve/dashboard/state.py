"""What the dashboard holds besides the gateway's own parts; made in `install_dashboard` and kept with the application."""

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
    """The parts.

    Args:
        sessions: Cookies and form tokens.
        usage: Sums of what was used, those of the past remembered.
        samples: Random answers, remembered for a while.
        time_zone: Whose days and months are shown.
        keeps_text: Whether prompts and answers are logged.
        policy_defaults: What policies take where callers name nothing.
        settings: As the gateway was started; secrets are never shown.
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
