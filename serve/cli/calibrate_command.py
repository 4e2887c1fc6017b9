"""`llmdeal calibrate vendor/model`: places a new model among the trained ones."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serve.cli.errors import one_line_errors

if TYPE_CHECKING:
    from rich.table import Table

    from serve.jobs.calibrate.asking import AskedQuestion
    from serve.jobs.calibrate.effect import LaneOutlook


def calibrate(
    model: Annotated[str, typer.Argument(help="vendor/model, as `llmdeal prices` and GET /v1/models list it.")],
    lane: Annotated[str, typer.Option(help="Lane to ask, if several serve the model; by default the cheapest.")] = "",
    questions: Annotated[int, typer.Option(min=10, help="Number of questions to ask.")] = 50,
    bank: Annotated[
        Path | None, typer.Option(help="Questions of your own: JSON Lines with id, kind, grader, prompt and answer.")
    ] = None,
    max_cost: Annotated[float, typer.Option(min=0, help="Do not begin if it is expected to cost more, USD.")] = 1.0,
    max_tokens: Annotated[int, typer.Option(min=16, help="Limit on each answer.")] = 4_096,
    config: Annotated[Path | None, typer.Option(help="Settings file.")] = None,
) -> None:
    """Ask a model a few dozen questions, grade the answers, and place it among the trained models.

    It is for a model that the router was not trained on.
    """
    import asyncio

    from rich.console import Console
    from rich.progress import Progress

    from serve.clock import SystemClock
    from serve.errors import ConfigurationError
    from serve.jobs.calibrate.job import plan_calibration, run_calibration
    from serve.packaged_files import data_dir
    from serve.settings import load_settings

    console, clock = Console(), SystemClock()
    with one_line_errors():
        settings = load_settings(config, os.environ)
        file = bank or data_dir() / "calibration" / "questions.jsonl"
        plan = plan_calibration(settings, os.environ, clock, model, lane, questions, file)
        if plan.expected_usd > max_cost:
            raise ConfigurationError(
                f"it is expected to cost {plan.expected_usd:.2f} USD: raise --max-cost or ask fewer --questions"
            )
        console.print(
            f"Asking [bold]{plan.lane.lane_id}[/] {len(plan.questions)} questions, "
            f"for about {plan.expected_usd:.4f} USD."
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
