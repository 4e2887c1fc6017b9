"""`llmdeal new-key`: a virtual key for the settings."""

from typing import Annotated

import typer

from serve.identity.virtual_keys import issue_virtual_key


def new_key(
    is_test: Annotated[bool, typer.Option("--test", help="Make a key marked as one for tests (ll_test_…).")] = False,
) -> None:
    """Make a virtual key and print it. It is stored nowhere: put it into LLMDEAL_KEYS or llmdeal.toml."""
    typer.echo(issue_virtual_key("test" if is_test else "live"))
