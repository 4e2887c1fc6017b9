"""How a command reports an error that its user can fix."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from router.errors import RouterError
from training.errors import TrainingError


@contextmanager
def one_line_errors(command: str) -> Iterator[None]:
    """Turn errors that the user can fix into one line and exit status 2."""
    try:
        yield
    except (TrainingError, RouterError) as error:
        typer.secho(f"llmdeal {command}: {error}", err=True, fg="red")
        raise SystemExit(2) from None
