"""The actor behind a call of the admin API.

It is a person who signed in, or a virtual key with a scope for this API. Before the gateway has an owner it may also be
the only person at the machine.
"""

from typing import Annotated, Final

from fastapi import Depends, Request

from serve.errors import BadVirtualKeyError, ForbiddenError
from serve.gateway import ResourceSet, resources_of
from serve.http.authentication import SESSION_COOKIE, authenticate
from serve.identity.first_start import is_first_start
from serve.identity.roles import Actor, Role, actor_of_key
from serve.identity.virtual_keys import ANONYMOUS, DEFAULT_ACCOUNT
from serve.settings import LOOPBACK_HOSTS

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def actor_of(request: Request) -> Actor:
    """Return the actor. Reads the database; for endpoints that run in threads.

    Raises:
        BadVirtualKeyError: The call has neither a session nor a virtual key that is accepted.
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


def check_same_site(request: Request) -> None:
    """Refuse a request that a page of another site made the browser send.

    Raises:
        ForbiddenError: This is such a request.
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
    """Return the operator, before the gateway has an owner.

    That is only over loopback and under the machine's own name: a page elsewhere cannot have a request sent that way.
    """
    check_same_site(request)
    name = (request.url.hostname or "").strip("[]")
    if name not in LOOPBACK_HOSTS or not is_first_start(resources.key_ring, resources.identity.accounts):
        raise BadVirtualKeyError
    return Actor("anonymous", {DEFAULT_ACCOUNT: Role.OWNER})


AskedBy = Annotated[Actor, Depends(actor_of)]
