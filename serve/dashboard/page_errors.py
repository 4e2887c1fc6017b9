"""The errors of pages, for a person to read.

PageError                a page with a status, what happened and what to do
SignInNeededError        the viewer has to sign in first, and then comes back
"""


class PageError(Exception):
    """A page ends with this error.

    Args:
        status: HTTP status.
        title: Problem in a few words.
        advice: Sentence that says what to do.
    """

    def __init__(self, status: int, title: str, advice: str) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.advice = advice


class SignInNeededError(Exception):
    """The viewer has to sign in first.

    Args:
        path, query: Page that the viewer asked for.
    """

    def __init__(self, path: str, query: str) -> None:
        super().__init__("sign in first")
        self.wanted = f"{path}?{query}" if query else path


def not_found(what: str) -> PageError:
    """Return the error for something that does not exist or belongs to another account. It does not say which."""
    return PageError(404, "There is nothing here", what)
