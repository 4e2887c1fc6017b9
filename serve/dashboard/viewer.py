"""Who looks at the dashboard. Every query of a page is for the account of its viewer."""

from dataclasses import dataclass
from typing import Literal

from fastapi import Request

from serve.dashboard.page_errors import PageError, SignInNeededError
from serve.dashboard.sessions import SESSION_COOKIE
from serve.dashboard.state import dashboard_of
from serve.resource_set import resources_of
from serve.settings import LOOPBACK_HOSTS
from serve.virtual_keys import ANONYMOUS, VirtualKeyHolder

Role = Literal["owner", "admin", "viewer"]


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who looks.

    Args:
        account: Whose requests, money and feedback may be seen.
        role: A viewer may look and judge answers; an admin and an owner may also spend and change budgets.
        name: Safe to show and to log.
    """

    account: str
    role: Role
    name: str

    @property
    def may_change(self) -> bool:
        """Whether they may spend money and change budgets."""
        return self.role != "viewer"

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody was asked who they are."""
        return self.name == ANONYMOUS.virtual_key_id

    @property
    def holder(self) -> VirtualKeyHolder:
        """As whom their requests are admitted and charged."""
        return VirtualKeyHolder(self.name, self.account)


def viewer_of(request: Request) -> Viewer:
    """Return who looks.

    Raises:
        SignInNeededError: Virtual keys are configured, and this browser has not shown one.
        PageError: Nobody need sign in, but the page was asked for under a foreign name.
    """
    if len(resources_of(request.app).key_ring) == 0:
        check_loopback_name(request)
        return Viewer(ANONYMOUS.account, "owner", ANONYMOUS.virtual_key_id)
    session = dashboard_of(request.app).sessions.read(request.cookies.get(SESSION_COOKIE))
    if session is None:
        raise SignInNeededError(request.url.path, request.url.query)
    return Viewer(session.account, "owner", session.name)


def check_loopback_name(request: Request) -> None:
    """Refuse names other than this machine's: a foreign page could point its own name here and read along (DNS rebinding).

    Raises:
        PageError: 403.
    """
    if request.url.hostname not in LOOPBACK_HOSTS:
        raise PageError(
            403,
            "This name is not known here",
            "Without virtual keys the dashboard answers on this machine alone: open it as http://127.0.0.1, or make a key with "
            "'llmdeal new-key' and set LLMDEAL_KEYS.",
        )


def changing_viewer_of(request: Request) -> Viewer:
    """Return who looks, if they may spend and change budgets.

    Raises:
        PageError: They may only look; otherwise as `viewer_of`.
    """
    viewer = viewer_of(request)
    if not viewer.may_change:
        raise PageError(403, "You may look, not change", "Ask an owner or an admin of this account.")
    return viewer
