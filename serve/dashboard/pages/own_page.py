"""`/account/you`: the password and the sessions of the person who is signed in."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from serve.dashboard.forms import Form, check_form, read_form
from serve.dashboard.page import redirect, render_page
from serve.dashboard.page_errors import PageError
from serve.dashboard.viewer import Viewer, viewer_of
from serve.errors import BadRequestError, BadSignInError
from serve.gateway import resources_of
from serve.http.authentication import SESSION_COOKIE
from serve.identity.sign_in import SESSION_LASTS, SignIn

routes = APIRouter(include_in_schema=False)

_DONE = {
    "password": "Your password is changed; your other sessions have ended.",
    "ended": "That session has ended.",
    "others": "Your other sessions have ended.",
}


@dataclass(frozen=True, slots=True)
class _Person:
    """A person who signed in with a password.

    Args:
        viewer: Viewer of the page.
        email: E-mail address of the person.
        secret: Secret of the session.
        sign_in: Passwords and sessions of the gateway.
    """

    viewer: Viewer
    email: str
    secret: str
    sign_in: SignIn


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A browser in which the person is signed in.

    Args:
        session_id: Public name of the session.
        began_at, ends_at: Times of its beginning and its end.
        is_this: Whether it is the browser that asks.
    """

    session_id: str
    began_at: datetime
    ends_at: datetime
    is_this: bool


@routes.get("/account/you")
def show_own(request: Request) -> Response:
    """Show the person who is signed in, and the person's sessions."""
    return _page(request, _person_of(request))


@routes.post("/account/you/password")
def change_own_password(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Change the person's password; the person's other sessions end."""
    person = _person_of(request)
    check_form(request, person.viewer, form)
    new = form.get("new_password", "")
    if new != form.get("again", ""):
        return _page(request, person, 400, "The new password was not repeated the same.")
    try:
        person.sign_in.change_own_password(person.secret, person.viewer.account, form.get("old_password", ""), new)
    except BadSignInError:
        return _page(request, person, 401, "That is not your password.")
    except BadRequestError as error:
        return _page(request, person, error.status, error.message)
    return redirect("/account/you?done=password")


@routes.post("/account/you/sessions/end")
def end_own_sessions(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """End one other session, or all other sessions."""
    person = _person_of(request)
    check_form(request, person.viewer, form)
    session_id = form.get("session") or None
    person.sign_in.end_other_sessions(person.secret, person.viewer.account, session_id)
    return redirect(f"/account/you?done={'others' if session_id is None else 'ended'}")


def _person_of(request: Request) -> _Person:
    viewer = viewer_of(request)
    sign_in = resources_of(request.app).identity.sign_in
    secret = request.cookies.get(SESSION_COOKIE)
    email = None if secret is None else sign_in.email_of(secret)
    if secret is None or email is None:
        raise PageError(
            404,
            "You have no password here",
            "Only people who sign in with an e-mail address have one. You signed in with a virtual key, or not at all.",
        )
    return _Person(viewer, email, secret, sign_in)


def _page(request: Request, person: _Person, status: int = 200, problem: str = "") -> Response:
    sessions = [
        SessionLine(session.session_id, session.ends_at - SESSION_LASTS, session.ends_at, session.is_this)
        for session in person.sign_in.sessions_of(person.secret)
    ]
    done = _DONE.get(request.query_params.get("done", ""), "")
    return render_page(
        request, person.viewer, "own.html", status, email=person.email, sessions=sessions, problem=problem, done=done
    )
