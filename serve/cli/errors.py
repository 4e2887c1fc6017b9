"""How the command line reports errors: one line with the problem and the remedy, exit code 2, and no traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from router.errors import RouterError
from serve.errors import ServeError
from serve.redaction import redact


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Print the program's own errors as one line on standard error, and exit with code 2.

    Any other exception is a defect and keeps its traceback.
    """
    try:
        yield
    except (ServeError, RouterError) as error:
        typer.secho(f"llmdeal: {redact(str(error))}", err=True, fg="red")
        raise typer.Exit(2) from None
