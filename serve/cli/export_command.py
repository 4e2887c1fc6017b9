"""`llmdeal export`: writes logged telemetry as Parquet."""

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from serve.cli.errors import one_line_errors
from serve.clock import SystemClock
from serve.errors import ExportError

_AGO: Final = re.compile(r"(\d{1,5})([dhm])")
_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes"}


def export(
    out: Annotated[Path, typer.Option(help="Folder to write: new, empty, or an earlier export, which is replaced.")],
    since: Annotated[
        str | None,
        typer.Option(
            help="First moment: 2026-11-01, 2026-11-01T12:00Z, or so long ago: 7d, 24h, 30m. "
            "Not needed to add to an export."
        ),
    ] = None,
    until: Annotated[str, typer.Option(help="First moment after the window, in the same forms; 0m is now.")] = "0m",
    append: Annotated[
        bool, typer.Option("--append", help="Add what came since to the export that is there, instead.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option(help="Settings file, for the database; by default llmdeal.toml, where there is one.")
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="SQLite file or database URL; by default the one that the gateway logs to.")
    ] = None,
) -> None:
    """Write logged attempts and feedback as Parquet files, with a manifest, for training or your own analysis."""
    from serve.settings import load_settings
    from serve.storage.database_choice import database_url

    with one_line_errors():
        settings = load_settings(config, os.environ, {"database": database})
        run_export(
            since, until, out, database_url(settings.database, os.environ), now=SystemClock().now(), append=append
        )


def run_export(since: str | None, until: str, out: Path, database: str, *, now: datetime, append: bool = False) -> None:
    """Export the window, or add to an export, and print one line about the result.

    Raises:
        ExportError: A moment is malformed, or `export_telemetry` refuses.
        StorageError: The database does not exist or cannot be used.
    """
    from serve.storage.database import open_database
    from serve.telemetry.export.export import append_telemetry, export_telemetry

    first = None if since is None else parse_moment(since, "--since", now)
    last = parse_moment(until, "--until", now)
    engine = open_database(database, must_exist=True)
    try:
        if append:
            summary = append_telemetry(engine, first, last, out, now=now)
        elif first is not None:
            summary = export_telemetry(engine, first, last, out, now=now)
        else:
            raise ExportError("say with --since where the export begins, or add to one with --append")
    finally:
        engine.dispose()
    size_mb = sum(file.size_bytes for file in summary.files) / 1e6
    typer.echo(
        f"{summary.attempt_rows:,} attempts and {summary.feedback_rows:,} pieces of feedback "
        f"from {summary.since:%Y-%m-%d %H:%M} to {summary.until:%Y-%m-%d %H:%M} UTC, {size_mb:,.1f} MB in {out}"
    )


def parse_moment(text: str, option: str, now: datetime) -> datetime:
    """Return the moment that a text means, in UTC.

    Args:
        text: Date, ISO 8601 time (UTC unless it has a time zone), or time ago, such as 7d.
        option: Name of the option that has it, for the error.
        now: Present time.

    Raises:
        ExportError: The text is none of these.
    """
    ago = _AGO.fullmatch(text)
    try:
        if ago:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise ExportError(
            f"{option} {text!r} is no moment: write a date (2026-11-01) or how long ago (7d, 24h)"
        ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
