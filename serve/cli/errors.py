"""How the command line reports errors: one line that names what, where and the mend; exit code 2; no traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from router.errors import RouterError
from serve.errors import ServeError
from serve.redaction import redact


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn the program's own errors into one line on standard error. Anything else is a defect and keeps its traceback."""
    try:
        yield
    except (ServeError, RouterError) as error:
        typer.secho(f"llmdeal: {redact(str(error))}", err=True, fg="red")
        raise typer.Exit(2) from None
