"""Who asks the admin API for something: a signed-in person, a virtual key with the scope, or the only person at their own machine."""

from typing import Annotated, Final

from fastapi import Depends, Request

from serve.errors import BadVirtualKeyError, ForbiddenError
from serve.gateway import ResourceSet, resources_of
from serve.http.authentication import authenticate
from serve.identity.roles import Actor, Role
from serve.identity.virtual_keys import ANONYMOUS, DEFAULT_ACCOUNT, VirtualKeyHolder
from serve.settings import LOOPBACK_HOSTS

SESSION_COOKIE: Final = "llmdeal_session"
_ROLE_OF_SCOPE: Final = {"owner": Role.OWNER, "admin": Role.ADMIN, "read": Role.VIEWER}
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def actor_of(request: Request) -> Actor:
    """Return who asks. Reads the database; for endpoints that run in threads.

    Raises:
        BadVirtualKeyError: Nobody who may.
        ForbiddenError: The virtual key is not for this API, or a page of another site sent the request.
    """
    resources = resources_of(request.app)
    session = request.cookies.get(SESSION_COOKIE)
    if session is not None and "authorization" not in request.headers and "x-api-key" not in request.headers:
        return _person(request, resources, session)
    holder = authenticate(request, resources.key_ring)
    if holder is ANONYMOUS:
        return _only_person_here(request, resources)
    return actor_of_key(holder)


def is_first_start(resources: ResourceSet) -> bool:
    """Return whether nobody owns this gateway yet and no virtual key was ever made."""
    return not resources.key_ring.is_closed and not resources.identity.accounts.has_owner(DEFAULT_ACCOUNT)


def check_same_site(request: Request) -> None:
    """Refuse what a page of another site made a browser send.

    Raises:
        ForbiddenError: It did.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    is_own = origin is None or origin.partition("://")[2] == request.headers.get("host")
    if request.method not in _SAFE_METHODS and (not is_own or site not in (None, "same-origin", "none")):
        raise ForbiddenError("this request was sent by a page of another site", code="cross_site")


def _person(request: Request, resources: ResourceSet, session: str) -> Actor:
    check_same_site(request)
    actor = resources.identity.sign_in.actor_of(session)
    if actor is None:
        raise BadVirtualKeyError
    return actor


def _only_person_here(request: Request, resources: ResourceSet) -> Actor:
    """Return the operator, before anybody has signed up; only ever over loopback, and under its own name, which no page elsewhere can take."""
    check_same_site(request)
    name = (request.url.hostname or "").strip("[]")
    if name not in LOOPBACK_HOSTS or not is_first_start(resources):
        raise BadVirtualKeyError
    return Actor("anonymous", {DEFAULT_ACCOUNT: Role.OWNER})


def actor_of_key(holder: VirtualKeyHolder) -> Actor:
    """Return what a virtual key may do besides asking models.

    Raises:
        ForbiddenError: Nothing.
    """
    roles = [role for scope, role in _ROLE_OF_SCOPE.items() if scope in holder.scopes]
    if not roles:
        raise ForbiddenError(
            f"the virtual key {holder.virtual_key_id!r} is not for this API: its scopes lack read, admin or owner"
        )
    return Actor(f"virtual_key:{holder.virtual_key_id}", {holder.account: max(roles)})


AskedBy = Annotated[Actor, Depends(actor_of)]
