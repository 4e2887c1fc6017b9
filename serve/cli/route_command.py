"""`llmdeal route "a prompt"`: the lane that a prompt would take, and the reason."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from serve.cli.errors import one_line_errors
from serve.cli.notices import print_notices

if TYPE_CHECKING:
    from router.decision import Decision


def route(
    prompt: Annotated[str, typer.Argument(help="The prompt; '-' reads it from standard input.")],
    quality: Annotated[float | None, typer.Option(help="Bar: least P(good answer) wanted, 0..1.", min=0, max=1)] = None,
    quality_of_best: Annotated[
        float | None, typer.Option(help="Bar: share of the best lane's mean quality to keep, 0..1.", min=0, max=1)
    ] = None,
    willingness_to_pay: Annotated[float | None, typer.Option(help="What a good answer is worth, USD.", min=0)] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file.")] = None,
    most: Annotated[int, typer.Option(help="Number of lanes to show.", min=1)] = 12,
) -> None:
    """Show which lane a prompt would take, and why; no request is sent."""
    import numpy as np

    from router.context import Constraints, Preferences, RouteContext
    from router.decision import decide
    from router.expectation import LaneState
    from serve.clock import SystemClock
    from serve.dialects.routing_fields import RouteOptions
    from serve.errors import ConfigurationError
    from serve.hot_swap.deciding import deciding_generation
    from serve.lanes.assembler import LaneAssembler
    from serve.routing.chosen_policy import default_policy
    from serve.routing.request import policies_asked_by
    from serve.settings import efforts_named, load_settings

    with one_line_errors():
        text = typer.get_text_stream("stdin").read() if prompt == "-" else prompt
        settings = load_settings(config, os.environ)
        context = RouteContext.from_prompt(text)
        kinds = policies_asked_by(RouteOptions(quality=quality, quality_of_best=quality_of_best))
        if len(kinds) > 1:
            raise ConfigurationError("--quality and --quality-of-best ask for different policies. Give one of them.")
        generation = deciding_generation(settings, os.environ)
        assembly = LaneAssembler(settings, os.environ, generation, SystemClock()).of_operator()
        directory = assembly.directory
        policy = kinds[0].policy() if kinds else default_policy(settings)
        decision = decide(
            directory.choosable,
            context,
            directory.quality_model.predict(context),
            LaneState.unmeasured(directory.choosable),
            policy,
            np.random.default_rng(settings.seed),
            Constraints(efforts=efforts_named(settings.route_efforts)),
            Preferences(
                quality_bar=quality, quality_of_best=quality_of_best, willingness_to_pay_usd=willingness_to_pay
            ),
            directory.bar,
        )
    console = Console()
    console.print(_table(decision, most))
    hint = _hint(decision)
    if hint is not None:
        console.print(f"[dim]{hint}[/]")
    n_excluded = len(directory.choosable) - len(decision.order)
    n_pinned = len(directory.table) - len(directory.choosable)
    if n_excluded:
        console.print(f"[dim]{n_excluded} lanes excluded[/]")
    if n_pinned:
        console.print(f"[dim]{n_pinned} more lanes answer only requests that name them: llmdeal prices[/]")
    print_notices(console, assembly.notices)


def _table(decision: "Decision", most: int) -> Table:
    """Return the first lanes of a decision, one a row."""
    table, expected = decision.table, decision.expectation
    reasoning = expected.reasoning_tokens
    lanes = Table(
        "",
        Column("lane", overflow="fold", min_width=28 if reasoning is None else 24),  # half a name is of no use
        "P(good)",
        "rests on",
        Column("tokens" if reasoning is None else "tokens (thought)", justify="right"),
        "USD",
        "s",
        title=f"{decision.reason.value} ({decision.policy_name})",
        title_justify="left",
        padding=(0, 1, 0, 0),  # so that 80 columns are enough
    )
    for place, row in enumerate(decision.order[:most]):
        lanes.add_row(
            "→" if place == 0 else "",
            table.lanes[row].lane_id,
            f"{expected.quality[row]:.3f} ±{expected.quality_std[row]:.2f}",
            table.describe_basis(row),
            f"{expected.completion_tokens[row]:.0f}" + ("" if reasoning is None else f" ({reasoning[row]:.0f})"),
            f"{expected.cost_usd[row]:.6f}",
            f"{expected.latency_ms[row] / 1_000:.1f}",
            style="bold green" if place == 0 else None,
        )
    return lanes


def _hint(decision: "Decision") -> str | None:
    """Return the advice on making the belief about the chosen lane surer; None: there is none."""
    from router.quality_basis import how_to_sharpen

    table, row = decision.table, decision.order[0]
    command = how_to_sharpen(table.quality_basis(row), table.lanes[row].vendor_model)
    return (
        None if command is None else f"No answers of {table.lane_ids[row]} were graded: '{command}' makes this surer."
    )
