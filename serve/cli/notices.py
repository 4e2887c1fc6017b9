"""Notices for the operator, below the output of a command: what was left out, and why."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text


def print_notices(console: Console, notices: Sequence[str]) -> None:
    """Print one notice a line, as it is: `[[servers]]` in a notice is no markup."""
    for notice in notices:
        console.print(Text(f"• {notice}", style="yellow"))
