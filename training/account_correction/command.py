"""`llmdeal accounts-learn`; it joins the command line through the entry-point group `llmdeal.commands`."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from training.command_errors import one_line_errors


def accounts_learn(
    logs: Annotated[Path, typer.Option(help="Folder that llmdeal export wrote.")],
    bundle: Annotated[Path, typer.Option(help="Folder of the bundle that is corrected.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write <bundle's version>.npz to: the setting account_corrections of a gateway."),
    ] = None,
    in_bundle: Annotated[
        bool, typer.Option("--in-bundle", help="Write it into the bundle instead, with its hash.")
    ] = False,
    fewest_answers: Annotated[
        int, typer.Option(min=20, help="An account with fewer judged answers has no correction.")
    ] = 500,
    since: Annotated[datetime | None, typer.Option(help="Only requests from this time on, UTC.")] = None,
) -> None:
    """Fit a correction of a bundle for each account, from that account's judged answers alone."""
    from datetime import UTC

    from router.bundle import load_bundle
    from training.account_correction.from_logs import fit_account_corrections
    from training.account_correction.writing import add_to_bundle, write_corrections
    from training.errors import SettingsError
    from training.off_policy.signals import judgement_rules
    from training.progress import TerminalProgress
    from training.telemetry.reader import read_logs

    console = Console()
    with one_line_errors("accounts-learn"):
        if (out is None) == (not in_bundle):
            raise SettingsError("accounts-learn: give either --out FOLDER or --in-bundle")
        checked = load_bundle(bundle)
        begin = since.replace(tzinfo=UTC) if since is not None and since.tzinfo is None else since
        # Checks that only find faults are left out: they do not say how good an answer is for this account.
        requests = read_logs(logs, begin, rules=judgement_rules())
        with TerminalProgress(console).stage("Asking the bundle", 1) as advance:
            corrections = fit_account_corrections(requests, checked, fewest_answers, advance)
        if not corrections.by_account:
            raise SettingsError(
                f"{logs}: no account has {fewest_answers} judged answers that kept their text and came from models "
                f'that {checked.version} was trained on: gather more feedback with telemetry_content = "full", or '
                "lower --fewest-answers"
            )
        written = add_to_bundle(bundle, corrections) if out is None else write_corrections(out, corrections)
    total = sum(correction.n_answers for correction in corrections.by_account.values())
    console.print(
        f"[green]Wrote {written}[/]: {len(corrections.by_account):,} accounts, {total:,} judged answers, "
        f"for {checked.version}."
    )
