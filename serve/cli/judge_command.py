"""`llmdeal judge provider/model`: a language model grades logged answers."""

import os
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from serve.cli.errors import one_line_errors

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from serve.jobs.judge.job import JudgingPlan, JudgingResult


def judge(
    lane: Annotated[str, typer.Argument(help="The judge: a lane, or vendor/model, as `llmdeal prices` lists them.")],
    budget_usd: Annotated[
        float, typer.Option(min=0, help="The most that this run may cost, USD; it ends before it costs more.")
    ],
    mode: Annotated[
        Literal["rubric", "pairwise"],
        typer.Option(
            help="rubric: grade each answer; pairwise: compare two lanes' answers to the same prompt, in both orders."
        ),
    ] = "rubric",
    count: Annotated[int, typer.Option(min=1, max=20_000, help="Most answers, or pairs of answers, to judge.")] = 100,
    since: Annotated[
        str, typer.Option(help="How far back answers are taken: 2026-11-01, or so long ago: 30d, 24h.")
    ] = "30d",
    account: Annotated[str, typer.Option(help="Account whose answers are judged.")] = "default",
    max_tokens: Annotated[int, typer.Option(min=32, help="Limit on each answer of the judge.")] = 400,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Begin without asking.")] = False,
    config: Annotated[Path | None, typer.Option(help="Settings file.")] = None,
) -> None:
    """Let a language model of your choice grade logged answers, within a budget.

    Judgements are feedback like any other.
    """
    import asyncio

    from rich.console import Console
    from rich.progress import Progress

    from serve.cli.export_command import parse_moment
    from serve.clock import SystemClock
    from serve.jobs.judge.job import plan_judging, run_judging
    from serve.settings import load_settings

    console, clock = Console(), SystemClock()
    with one_line_errors():
        settings = load_settings(config, os.environ)
        first = parse_moment(since, "--since", clock.now())
        plan = plan_judging(settings, os.environ, clock, lane, mode, count, account, first)
        _show(console.print, plan, budget_usd)
        if not yes and not typer.confirm("Begin?"):
            raise typer.Exit(1)
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("Judging", total=len(plan.tasks))
            budget = Decimal(str(budget_usd))
            job = run_judging(plan, settings, os.environ, clock, budget, max_tokens, lambda: progress.advance(task))
            result = asyncio.run(job)
    _print_result(console, result)


def _print_result(console: "Console", result: "JudgingResult") -> None:
    if result.values:
        console.print(_table(result.values))
    for problem, times in result.problems.items():
        console.print(f"[yellow]{times} without a judgement:[/] {problem}", highlight=False)
    if result.n_left:
        console.print(
            f"{result.n_left} were left out: the next call could have cost more than what was left of the budget."
        )
    n_judged = sum(map(len, result.values.values()))
    many = "" if n_judged == 1 else "s"
    console.print(
        f"{n_judged} answer{many} judged, {result.spent_usd:.6f} USD spent. "
        "The same command goes on where this one ended."
    )


def _show(print_line: Callable[[str], None], plan: "JudgingPlan", budget_usd: float) -> None:
    many = "" if len(plan.tasks) == 1 else "s"
    what = f"answer{many}" if plan.mode == "rubric" else f"pair{many} of answers in both orders"
    print_line(f"[bold]{plan.lane.lane_id}[/] judges {len(plan.tasks)} {what}, for about {plan.expected_usd:.4f} USD.")
    print_line(f"It ends before it costs more than {budget_usd:.4f} USD. The texts are sent to {plan.lane.provider}.")
    if plan.n_own or plan.n_judged:
        print_line(
            f"Left out: {plan.n_own} answers of the judge's own model, {plan.n_judged} that it has judged before."
        )


def _table(values: Mapping[str, Sequence[float]]) -> "Table":
    from rich.table import Table

    shown = Table("lane", "answers", "mean", title="Judged", title_justify="left")
    for lane_id in sorted(values):
        scores = values[lane_id]
        shown.add_row(lane_id, str(len(scores)), f"{sum(scores) / len(scores):.3f}")
    return shown
