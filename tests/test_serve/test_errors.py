"""The tree of errors that is drawn at the top of `serve/errors.py` is the one that the classes make."""

import re

from serve import errors

_LINE = re.compile(r"^(?P<indent>[│├└─ ]*)(?P<name>[A-Z]\w+Error)(?:\s+(?P<status>\d{3})\b)?")


def drawn() -> dict[str, tuple[str | None, str | None]]:
    """Return name -> (name of the parent, HTTP status) of every line of the drawing."""
    tree: dict[str, tuple[str | None, str | None]] = {}
    branch: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        depth = len(match["indent"]) // 4
        branch = [*branch[:depth], match["name"]]
        assert match["name"] not in tree, f"{match['name']} is drawn twice"
        tree[match["name"]] = (branch[depth - 1] if depth else None, match["status"])
    return tree


def classes() -> dict[str, type[errors.ServeError]]:
    """Return the error classes of the module by name."""
    members = vars(errors).values()
    return {each.__name__: each for each in members if isinstance(each, type) and issubclass(each, errors.ServeError)}


def test_every_error_is_drawn_under_its_parent() -> None:
    parents = {name: None if cls is errors.ServeError else cls.__base__.__name__ for name, cls in classes().items()}
    assert {name: parent for name, (parent, _) in drawn().items()} == parents


def test_every_error_of_a_request_is_drawn_with_its_status() -> None:
    for name, (_, status) in drawn().items():
        cls = classes()[name]
        if status is not None:
            assert issubclass(cls, errors.RequestError)
            assert int(status) == cls.status, name
        else:
            is_group = cls in (errors.RequestError, errors.CallerError)
            assert is_group or not issubclass(cls, errors.RequestError), f"{name} is drawn without its status"
