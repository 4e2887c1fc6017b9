"""The viewer of the dashboard. Every query of a page is for the account of its viewer."""

from dataclasses import dataclass, field

from fastapi import Request

from serve.dashboard.page_errors import PageError, SignInNeededError
from serve.dashboard.state import dashboard_of
from serve.errors import BadVirtualKeyError, ForbiddenError
from serve.gateway import ResourceSet, resources_of
from serve.http.authentication import SESSION_COOKIE
from serve.identity.first_start import is_first_start
from serve.identity.names import qualified
from serve.identity.roles import Actor, Role, actor_of_key
from serve.identity.virtual_keys import ANONYMOUS, DEFAULT_ACCOUNT, VirtualKeyHolder
from serve.lanes.directory import LaneDirectory
from serve.settings import LOOPBACK_HOSTS

KEY_COOKIE = "llmdeal_key"
ACCOUNT_COOKIE = "llmdeal_account"


@dataclass(frozen=True, slots=True)
class Viewer:
    """A person who looks at the dashboard.

    Args:
        account: Account whose requests, money and feedback are shown.
        actor: Identity of the person, with a role in each account.
        holder: Identity under which the person's requests are admitted and charged.
    """

    account: str
    actor: Actor
    holder: VirtualKeyHolder = field(repr=False)

    @property
    def name(self) -> str:
        """Name that is safe to show and to log."""
        return self.actor.name.removeprefix("virtual_key:")

    @property
    def role(self) -> Role:
        """Role in the account that is shown."""
        return self.actor.role_in(self.account) or Role.VIEWER

    @property
    def may_change(self) -> bool:
        """Whether the viewer may spend money and change keys and budgets."""
        return self.role >= Role.ADMIN

    @property
    def is_owner(self) -> bool:
        """Whether the viewer may change the members of the account."""
        return self.role is Role.OWNER

    @property
    def is_person(self) -> bool:
        """Whether the viewer signed in with a password."""
        return "@" in self.actor.name and not self.actor.name.startswith("virtual_key:")

    @property
    def is_anonymous(self) -> bool:
        """Whether no sign-in is needed."""
        return self.holder is ANONYMOUS


def viewer_of(request: Request) -> Viewer:
    """Return the viewer of a page.

    Raises:
        SignInNeededError: The gateway has an owner or virtual keys, and this browser has not signed in.
        PageError: The page was asked for under a foreign host name, or the viewer is in no account.
    """
    resources = resources_of(request.app)
    if is_first_start(resources.key_ring, resources.identity.accounts):
        check_loopback_name(request)
        return Viewer(ANONYMOUS.account, Actor("anonymous", {DEFAULT_ACCOUNT: Role.OWNER}), ANONYMOUS)
    viewer = _by_password(request, resources) or _by_key(request, resources)
    if viewer is None:
        raise SignInNeededError(request.url.path, request.url.query)
    return viewer


def directory_of(resources: ResourceSet, viewer: Viewer | None) -> LaneDirectory:
    """Return the lanes of a viewer's account; without a viewer, the operator's."""
    account = DEFAULT_ACCOUNT if viewer is None else viewer.account
    return resources.routing.directories.by_account().get(account, resources.empty_directory)


def vectors_of(resources: ResourceSet, viewer: Viewer) -> LaneDirectory:
    """Return the lanes of a viewer's account that make vectors."""
    return resources.vectors.directories.by_account().get(viewer.account, resources.empty_directory)


def check_loopback_name(request: Request) -> None:
    """Refuse host names other than this machine's.

    A foreign page could point its own name to this machine and read the answers (DNS rebinding).

    Raises:
        PageError: The host name is not this machine's; status 403.
    """
    if request.url.hostname not in LOOPBACK_HOSTS:
        raise PageError(
            403,
            "This name is not known here",
            "Until this gateway has an owner, the dashboard answers only on this machine. Open it as http://127.0.0.1 "
            "and create the owner, or run 'llmdeal accounts add default you@example.com --role owner'.",
        )


def changing_viewer_of(request: Request) -> Viewer:
    """Return the viewer, if the viewer may spend money and change keys and budgets.

    Raises:
        PageError: The viewer may only look; also for the reasons of `viewer_of`.
    """
    viewer = viewer_of(request)
    if not viewer.may_change:
        raise PageError(403, "You may look but not change", "Ask an owner or an admin of this account.")
    return viewer


def owning_viewer_of(request: Request) -> Viewer:
    """Return the viewer, if the viewer owns the account that is shown.

    Raises:
        PageError: The viewer is no owner; also for the reasons of `viewer_of`.
    """
    viewer = viewer_of(request)
    if not viewer.is_owner:
        raise PageError(403, "Only owners may do that", "Ask an owner of this account.")
    return viewer


def _by_password(request: Request, resources: ResourceSet) -> Viewer | None:
    secret = request.cookies.get(SESSION_COOKIE)
    actor = None if secret is None else resources.identity.sign_in.actor_of(secret)
    if actor is None:
        return None
    account = _chosen_account(request, actor)
    name = qualified(account, f"dashboard:{actor.name.replace('/', '_')}", DEFAULT_ACCOUNT)
    return Viewer(account, actor, VirtualKeyHolder(name, account))


def _by_key(request: Request, resources: ResourceSet) -> Viewer | None:
    """Return the viewer who signed in with a virtual key, if that key is still valid and may still look."""
    name = dashboard_of(request.app).sessions.read(request.cookies.get(KEY_COOKIE))
    if name is None:
        return None
    try:
        holder = resources.key_ring.holder_named(name)
        actor = actor_of_key(holder)
    except (BadVirtualKeyError, ForbiddenError):
        return None
    return Viewer(_chosen_account(request, actor), actor, holder)


def _chosen_account(request: Request, actor: Actor) -> str:
    """Return the account that the viewer chose last, if it may be shown; else another one that may.

    Raises:
        PageError: The viewer is in no account.
    """
    wanted = request.cookies.get(ACCOUNT_COOKIE)
    if wanted and actor.role_in(wanted) is not None:
        account = resources_of(request.app).identity.accounts.find_or_none(wanted)
        if account is not None:
            return wanted
    if DEFAULT_ACCOUNT in actor.roles:
        return DEFAULT_ACCOUNT
    if not actor.roles:
        raise PageError(403, "You are in no account", "Ask the owner of an account to add you.")
    return min(actor.roles)
