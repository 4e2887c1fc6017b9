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
    from training.retrain.job import RetrainResult
    from training.retrain.machinery import Machinery

Logs = Annotated[Path, typer.Option(help="Folder of a telemetry export, or of several exports.")]
ChampionFolder = Annotated[Path, typer.Option(help="Folder of the bundle in use.")]
OutFolder = Annotated[Path, typer.Option(help="Folder of bundles; the challenger becomes a folder in it.")]
StartFolder = Annotated[
    Path | None,
    typer.Option(
        "--from",
        help="Bundle that learning starts from; by default, if possible, the trained one that the champion descends "
        "from.",
    ),
]
HalfLife = Annotated[
    float, typer.Option(min=0, help="Age in days at which a reward counts half as much; 0: age does not matter.")
]
CorpusFolder = Annotated[Path | None, typer.Option(help="Graded answers that keep what the champion knew.")]
Value = Annotated[float, typer.Option(help="What a good answer is worth to a caller who did not say, USD.")]
Metrics = Annotated[
    list[str] | None,
    typer.Option(help="A metric of your own that counts, name:worst:best:std, such as csat:1:10:0.3; may be repeated."),
]
Accounts = Annotated[
    bool,
    typer.Option(
        "--accounts/--no-accounts", help="Fit corrections for single accounts, too, and put them into the challenger."
    ),
]
CorrectionsFolder = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the corrections that a gateway serves the champion with, as llmdeal accounts-learn wrote them; "
        "by default account_corrections next to --out."
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Same inputs, same seed: same bundle.")]
Scheduler = Annotated[
    str, typer.Option(help="Dask scheduler (tcp://…) whose workers do the heavy work; by default this process does it.")
]
Track = Annotated[
    str, typer.Option(help="MLflow address to record the run at; by default mlflow.db next to --out; none: no record.")
]
CheckpointFolder = Annotated[Path | None, typer.Option(help="Folder of checkpoints; by default .retrain in --out.")]


def retrain(
    logs: Logs,
    champion: ChampionFolder,
    out: OutFolder,
    start: StartFolder = None,
    half_life: HalfLife = DEFAULT_HALF_LIFE_DAYS,
    corpus: CorpusFolder = None,
    value: Value = DEFAULT_WILLINGNESS_TO_PAY_USD,
    metric: Metrics = None,
    accounts: Accounts = True,
    account_corrections: CorrectionsFolder = None,
    seed: Seed = 0,
    scheduler: Scheduler = "",
    track: Track = "",
    work: CheckpointFolder = None,
) -> None:
    """Learn from logged requests and their feedback: a challenger bundle, and a verdict on whether it is better."""
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
    _print_result(console, result)


def _print_result(console: Console, result: "RetrainResult") -> None:
    """Print the place of the challenger, and the verdict with its reasons."""
    from router.bundle import read_manifest

    verdict = result.verdict
    if not result.is_new:
        console.print(f"Nothing new: [bold]{result.bundle}[/] was learned from the same logs before.")
    else:
        base = str(read_manifest(result.bundle)["base"])
        console.print(f"[green]Wrote {result.bundle}[/], learned from the logs on top of [bold]{base}[/].")
    outcome = "[green]better[/]" if verdict.is_better else "[yellow]not shown to be better[/]"
    console.print(
        f"{verdict.challenger_version} is {outcome} than {verdict.champion_version}, on {verdict.n_requests:,} later "
        "requests:"
    )
    for reason in verdict.reasons:
        console.print(f"- {reason}", highlight=False, soft_wrap=True)


def _machinery(scheduler: str) -> "AbstractContextManager[Machinery]":
    """Return the machinery that does the heavy work: the cluster of a scheduler, or this process."""
    from training.retrain.machinery import ThisProcess

    if not scheduler:
        return nullcontext(ThisProcess())
    from training.retrain.cluster import connect

    return connect(scheduler)
