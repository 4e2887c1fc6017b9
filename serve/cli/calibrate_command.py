"""`llmdeal calibrate`: places new models among the trained ones, one by name or many with `--all`."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serve.cli.errors import one_line_errors

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from serve.jobs.calibrate.asking import AskedQuestion
    from serve.jobs.calibrate.effect import LaneOutlook
    from serve.settings import Settings


def calibrate(
    model: Annotated[
        str,
        typer.Argument(
            help="vendor/model, as `llmdeal prices` and GET /v1/models list it. With --all: a pattern, as openai/*."
        ),
    ] = "",
    lane: Annotated[str, typer.Option(help="Lane to ask, if several serve the model; by default the cheapest.")] = "",
    every: Annotated[
        bool, typer.Option("--all", help="Calibrate the models together that are worth most to know.")
    ] = False,
    questions: Annotated[int, typer.Option(min=10, help="Number of questions to ask; with --all, of each model.")] = 50,
    bank: Annotated[
        Path | None, typer.Option(help="Questions of your own: JSON Lines with id, kind, grader, prompt and answer.")
    ] = None,
    max_cost: Annotated[
        float,
        typer.Option(min=0, help="Do not begin if it is expected to cost more, USD. With --all: never cost more."),
    ] = 1.0,
    max_tokens: Annotated[int, typer.Option(min=16, help="Limit on each answer.")] = 4_096,
    models: Annotated[int, typer.Option(min=1, help="With --all: most models to ask.")] = 20,
    parallel: Annotated[
        int, typer.Option(min=1, help="With --all: most questions at once to one account of a provider.")
    ] = 4,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --all: show the plan and ask nothing.")] = False,
    config: Annotated[Path | None, typer.Option(help="Settings file.")] = None,
) -> None:
    """Ask models a few dozen questions, grade the answers, and place them among the trained models.

    It is for models that the router was not trained on: one, or with --all those that are worth most to know.
    """
    from decimal import Decimal

    from rich.console import Console

    from serve.errors import ConfigurationError
    from serve.packaged_files import data_dir
    from serve.settings import load_settings

    console = Console()
    with one_line_errors():
        settings = load_settings(config, os.environ)
        file = bank or data_dir() / "calibration" / "questions.jsonl"
        if every:
            from serve.cli.calibrate_all import calibrate_all
            from serve.jobs.calibrate.plan_all import Limits

            if lane:
                raise ConfigurationError("--lane names one lane, and --all asks many: leave one of them out")
            limits = Limits(Decimal(str(max_cost)), models, questions, max_tokens, parallel)
            calibrate_all(console, settings, model, file, limits, dry_run=dry_run)
        elif not model:
            raise ConfigurationError("no model is named: name one, as 'llmdeal prices' lists it, or use --all")
        elif dry_run:
            raise ConfigurationError("--dry-run shows the plan of --all: add --all, or leave --dry-run out")
        else:
            _calibrate_one(console, settings, model, lane, questions, file, max_cost, max_tokens)


def _calibrate_one(
    console: "Console",
    settings: "Settings",
    model: str,
    lane: str,
    questions: int,
    bank: Path,
    max_cost: float,
    max_tokens: int,
) -> None:
    import asyncio

    from rich.progress import Progress

    from serve.clock import SystemClock
    from serve.errors import ConfigurationError
    from serve.jobs.calibrate.job import plan_calibration, run_calibration

    clock = SystemClock()
    plan = plan_calibration(settings, os.environ, clock, model, lane, questions, bank)
    if plan.expected_usd > max_cost:
        raise ConfigurationError(
            f"it is expected to cost {plan.expected_usd:.2f} USD: raise --max-cost or ask fewer --questions"
        )
    console.print(
        f"Asking [bold]{plan.lane.lane_id}[/] {len(plan.questions)} questions, for about {plan.expected_usd:.4f} USD."
    )
    if plan.left_out:
        console.print(f"[yellow]Left out:[/] {plan.left_out}.", highlight=False)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("Asking", total=len(plan.questions))
        worth = settings.willingness_to_pay_usd
        job = run_calibration(plan, settings, os.environ, clock, max_tokens, worth, lambda: progress.advance(task))
        result = asyncio.run(job)
    console.print(_kinds_table(result.asked))
    console.print(_outlook_table(result.before, result.after))
    spent = sum(each.cost_usd for each in result.asked if each.cost_usd is not None)
    console.print(f"Spent {spent:.6f} USD. [green]Wrote {result.path}[/]; a running gateway uses it within seconds.")


def _kinds_table(asked: "Sequence[AskedQuestion]") -> "Table":
    from rich.table import Table

    shown = Table("kind", "asked", "right", "no answer", "cut short", title="Answers", title_justify="left")
    for kind in sorted({each.question.kind for each in asked}):
        of_kind = [each for each in asked if each.question.kind == kind]
        right = sum(each.score == 1 for each in of_kind)
        unanswered = sum(each.score is None for each in of_kind)
        shown.add_row(
            kind, str(len(of_kind)), str(right), str(unanswered or ""), str(sum(each.is_cut for each in of_kind) or "")
        )
    right = sum(each.score == 1 for each in asked)
    shown.add_section()
    shown.add_row("all", str(len(asked)), str(right), *(str(n or "") for n in _lost(asked)))
    return shown


def _lost(asked: "Sequence[AskedQuestion]") -> tuple[int, int]:
    return sum(each.score is None for each in asked), sum(each.is_cut for each in asked)


def _outlook_table(before: "LaneOutlook", after: "LaneOutlook") -> "Table":
    from rich.table import Table

    shown = Table(
        "over the bundle's reference prompts", "before", "after", title="What is believed of it", title_justify="left"
    )
    rows = (
        ("P(good answer)", "quality", "{:.3f}"),
        ("uncertainty of its log odds", "logit_std", "±{:.2f}"),
        ("completion tokens", "completion_tokens", "{:.0f}"),
        ("cost of a request, USD", "cost_usd", "{:.6f}"),
        ("chosen for", "chosen_share", "{:.0%}"),
    )
    for label, name, form in rows:
        shown.add_row(label, form.format(getattr(before, name)), form.format(getattr(after, name)))
    return shown
