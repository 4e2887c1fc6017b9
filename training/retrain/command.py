"""`llmdeal retrain`; joins the command line through the entry-point group `llmdeal.commands`."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from router.policies.best_value import DEFAULT_WILLINGNESS_TO_PAY_USD
from training.command_errors import one_line_errors
from training.retrain.defaults import DEFAULT_HALF_LIFE_DAYS

if TYPE_CHECKING:
    from training.retrain.job import Machinery


def retrain(
    logs: Annotated[Path, typer.Option(help="Folder of a telemetry export, or of several side by side.")],
    champion: Annotated[Path, typer.Option(help="Folder of the bundle in use.")],
    out: Annotated[Path, typer.Option(help="Folder of bundles; the challenger becomes a folder in it.")],
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Bundle that learning starts from; by default the trained one that the champion came from, where it can.",
        ),
    ] = None,
    half_life: Annotated[
        float,
        typer.Option(min=0, help="A reward counts half as much for each so many days of age; 0: age does not matter."),
    ] = DEFAULT_HALF_LIFE_DAYS,
    corpus: Annotated[Path | None, typer.Option(help="Graded answers that keep what the champion knew.")] = None,
    value: Annotated[
        float, typer.Option(help="What a good answer is worth to a caller who did not say, USD.")
    ] = DEFAULT_WILLINGNESS_TO_PAY_USD,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="A metric of your own that counts, name:worst:best:std, such as csat:1:10:0.3; may be repeated."
        ),
    ] = None,
    accounts: Annotated[
        bool,
        typer.Option(
            "--accounts/--no-accounts",
            help="Fit corrections for single accounts, too, and put them into the challenger.",
        ),
    ] = True,
    account_corrections: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the corrections that a gateway serves the champion with, as llmdeal accounts-learn wrote them; by default account_corrections "
            "beside --out."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same inputs, same seed: same bundle.")] = 0,
    scheduler: Annotated[
        str, typer.Option(help="Dask scheduler (tcp://…) whose workers do the heavy work; by default it is done here.")
    ] = "",
    track: Annotated[
        str, typer.Option(help="MLflow address to record the run at; by default mlflow.db beside --out; none: nowhere.")
    ] = "",
    work: Annotated[Path | None, typer.Option(help="Where checkpoints lie; by default .retrain in --out.")] = None,
) -> None:
    """Learn from logged requests and their feedback: a challenger bundle, and a verdict on whether it is better."""
    from router.bundle import read_manifest
    from training.progress import TerminalProgress
    from training.promotion.registry import BundleRegistry, default_address
    from training.retrain.job import RetrainPlan
    from training.retrain.job import retrain as run_retraining
    from training.retrain.settings import RetrainSettings

    console = Console()
    with one_line_errors("retrain"):
        settings = RetrainSettings(
            seed=seed,
            value_usd=value,
            half_life_days=half_life,
            metrics=tuple(metric or ()),
            corrects_accounts=accounts,
        )
        registry = None if track == "none" else BundleRegistry(track or default_address(out))
        plan = RetrainPlan(logs, champion, out, corpus, work, account_corrections, settings, start)
        with _machinery(scheduler) as machinery:
            result = run_retraining(plan, TerminalProgress(console), machinery, registry)
    verdict = result.verdict
    if not result.is_new:
        console.print(f"Nothing new: the same logs were learned from before, in [bold]{result.bundle}[/].")
    else:
        base = str(read_manifest(result.bundle)["base"])
        console.print(f"[green]Wrote {result.bundle}[/], which learning made of [bold]{base}[/].")
    said = "[green]better[/]" if verdict.is_better else "[yellow]not shown to be better[/]"
    console.print(
        f"{verdict.challenger_version} is {said} than {verdict.champion_version}, by {verdict.n_requests:,} later requests:"
    )
    for reason in verdict.reasons:
        console.print(f"- {reason}", highlight=False, soft_wrap=True)


def _machinery(scheduler: str) -> "AbstractContextManager[Machinery]":
    """Return what does the heavy work."""
    from training.retrain.job import ThisProcess

    if not scheduler:
        return nullcontext(ThisProcess())
    from training.retrain.cluster import connect

    return connect(scheduler)
