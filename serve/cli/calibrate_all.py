"""`llmdeal calibrate --all`: the plan, the run and the table of results, on a terminal."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from serve.clock import SystemClock
from serve.jobs.calibrate.plan_all import CommonPlan, Limits, PlannedModel, plan_all, rehearse
from serve.jobs.calibrate.run_all import CommonResult, CommonRun, ModelResult
from serve.settings import Settings

_SHOWN_PROBLEMS = 8


def calibrate_all(
    console: Console, settings: Settings, pattern: str, bank: Path, limits: Limits, *, dry_run: bool
) -> None:
    """Calibrate the models that are worth most to know, or show the plan.

    Raises:
        ConfigurationError: No model can be calibrated, or an answer cannot be kept.
    """
    clock = SystemClock()
    plan = plan_all(settings, os.environ, clock, pattern, bank, limits)
    if plan.left_out:
        console.print(f"[yellow]Left out:[/] {plan.left_out}.", highlight=False)
    if dry_run:
        _print_plan(console, plan, rehearse(plan))
        return
    console.print(
        f"Asking {_counted(len(plan.schedule.subjects), 'model')}{_others(plan)}. It never costs more than "
        f"{limits.max_cost_usd} USD. Ctrl-C ends it; all answers are kept."
    )
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[spent]} USD"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("Spent", total=float(limits.max_cost_usd), spent="0")

        async def run() -> CommonResult:
            common = CommonRun(
                plan,
                settings,
                os.environ,
                clock,
                lambda spent: progress.update(task, completed=float(spent), spent=f"{spent:.4f}"),
            )
            _stop_on_interrupt(common, console)
            return await common.run()

        result = asyncio.run(run())
    _print_result(console, result)


def _stop_on_interrupt(run: CommonRun, console: Console) -> None:
    """Let the first Ctrl-C end the run after the answers on their way, and the second one at once."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        console.print("Waiting for the answers on their way. Ctrl-C again ends at once.")
        run.stop()

    with contextlib.suppress(NotImplementedError):  # Windows
        loop.add_signal_handler(signal.SIGINT, stop)


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _others(plan: CommonPlan) -> str:
    return f", and leaving {plan.n_left_out} for another time" if plan.n_left_out else ""


def _print_plan(console: Console, plan: CommonPlan, models: Sequence[PlannedModel]) -> None:
    shown = Table(
        "model", "worth knowing", "width", "has", "questions", "USD", "at most", title="Plan", title_justify="left"
    )
    for each in models:
        shown.add_row(
            each.subject.lane.lane_id,
            f"{1_000 * each.value:.2f}",
            f"±{each.std_before:.2f} → ±{each.std_after:.2f}",
            str(len(each.subject.answers)),
            str(each.n_questions),
            f"{each.expected_usd:.4f}",
            f"{each.most_usd:.4f}",
        )
    console.print(shown)
    expected, most = sum(each.expected_usd for each in models), sum(each.most_usd for each in models)
    limit = plan.limits.max_cost_usd
    console.print(
        f"{_counted(sum(each.n_questions for each in models), 'question')} for about {expected:.4f} USD"
        f"{_others(plan)}. Nothing was asked.\n"
        f"These questions cost at most {most:.4f} USD, and the run ends before it costs more than {limit} USD.\n"
        "Worth knowing: good answers per 1,000 requests that certainty about the model would gain.",
        highlight=False,
    )


def _end(result: ModelResult) -> str:
    if result.subject.ended:
        return f"\n[yellow]stopped: {escape(result.subject.ended)}[/]"
    return "\n[dim]settled: more answers would change hardly any choice[/]" if result.is_settled else ""


def _print_result(console: Console, result: CommonResult) -> None:
    shown = Table(
        "model", "answers", "USD", "P(good answer)", "width", "chosen for", title="Calibrated", title_justify="left"
    )
    for each in result.models:
        subject = each.subject
        shown.add_row(
            subject.lane.lane_id + _end(each),
            f"{len(subject.answers)} (+{subject.n_new})",
            f"{subject.spent_usd:.4f}",
            f"{each.before.quality:.3f} → {each.after.quality:.3f}",
            f"±{each.std_before:.2f} → ±{each.std_after:.2f}",
            f"{each.before.chosen_share:.0%} → {each.after.chosen_share:.0%}",
        )
    console.print(shown)
    for problem, times in sorted(result.problems.items(), key=lambda pair: -pair[1])[:_SHOWN_PROBLEMS]:
        console.print(f"[yellow]{times} without an answer:[/] {escape(problem)}", highlight=False)
    n_new = sum(each.subject.n_new for each in result.models)
    ended = " The budget has too little left for the next question." if result.is_out_of_money else ""
    console.print(
        f"{_counted(n_new, 'answer')}, {result.spent_usd:.6f} USD spent.{ended} "
        f"[green]The answers are in {result.folder}[/]; a running gateway uses them within seconds. "
        "The same command goes on where this one ended."
    )
