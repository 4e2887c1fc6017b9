"""Progress bars on a terminal; plain lines if the output is not a terminal."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from time import monotonic
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress


class Progress(Protocol):
    """Shows how far a stage is."""

    def stage(self, title: str, total: float | None) -> AbstractContextManager[Callable[[float], None]]:
        """Open a stage; the caller calls the yielded function with the amount done since the last call."""
        ...


class TerminalProgress:
    """Shows stages one below the other.

    Args:
        console: Console that shows the stages.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def stage(self, title: str, total: float | None) -> Iterator[Callable[[float], None]]:
        """Show one stage; see `Progress`."""
        if not self._console.is_terminal:
            started = monotonic()
            yield lambda amount: None
            self._console.print(f"{title}: {monotonic() - started:.1f} s")
            return
        columns = (
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description:<30}"),
            BarColumn(),
            TimeElapsedColumn(),
        )
        with RichProgress(*columns, TimeRemainingColumn(), console=self._console) as bars:
            bar = bars.add_task(title, total=total)
            yield lambda amount: bars.advance(bar, amount)
            bars.update(bar, total=1, completed=1)


class SilentProgress:
    """Shows nothing; for work in another process."""

    @contextmanager
    def stage(self, title: str, total: float | None) -> Iterator[Callable[[float], None]]:
        """Show nothing."""
        yield lambda amount: None
