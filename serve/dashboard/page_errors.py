"""What goes wrong on a page, for a person to read.

PageError                a page with a status, what happened and what to do
SignInNeededError        nobody is signed in: the sign-in page, and back
"""


class PageError(Exception):
    """A page ends with this.

    Args:
        status: The HTTP status.
        title: What happened, in a few words.
        advice: What to do about it.
    """

    def __init__(self, status: int, title: str, advice: str) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.advice = advice


class SignInNeededError(Exception):
    """Somebody has to sign in first.

    Args:
        path, query: Where they wanted to go.
    """

    def __init__(self, path: str, query: str) -> None:
        super().__init__("sign in first")
        self.wanted = f"{path}?{query}" if query else path


def not_found(what: str) -> PageError:
    """Return the error for something that is not there, or belongs to another account: the answer does not tell which."""
    return PageError(404, "There is nothing here", what)
