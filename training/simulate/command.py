"""The command `llmdeal simulate`: it replays a corpus as traffic.

It joins the command line through the entry-point group `llmdeal.commands`.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from training.command_errors import one_line_errors


def simulate(
    corpus: Annotated[Path, typer.Option(help="Folder with prompts.parquet, responses.parquet and prices.csv.")],
    table_of: Annotated[
        Path, typer.Option("--from", help="Bundle to take the embedding table from; nothing else of it is used.")
    ],
    out: Annotated[Path, typer.Option(help="New folder: figures.json, learning-curve.png, logs, bundles.")],
    scenario: Annotated[
        Path | None,
        typer.Option(help="TOML file: models, traffic, feedback and events; by default a fortnight."),
    ] = None,
    through_gateway: Annotated[
        bool, typer.Option(help="Send the traffic through the real gateway over HTTP, instead of deciding in process.")
    ] = False,
    gate: Annotated[
        bool | None,
        typer.Option("--gate/--no-gate", help="Use a nightly challenger only if the gate finds it better."),
    ] = None,
    requests: Annotated[int | None, typer.Option(min=1, help="Instead of the scenario's n_requests.")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="Instead of the scenario's n_days.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of the scenario's; same seed: same figures.")] = None,
    seeds: Annotated[
        int,
        typer.Option(
            min=1, help="Number of runs, with this seed and the following ones; several at once if there are cores."
        ),
    ] = 1,
) -> None:
    """Replay graded answers as traffic, learn every night, and show the regret of each way of routing."""
    from training.errors import SettingsError
    from training.progress import TerminalProgress
    from training.simulate.run import FIGURES_FILE, PLOT_FILE, SimulationPlan, simulate_through_gateway
    from training.simulate.run import simulate as run_simulation
    from training.simulate.scenario import FORTNIGHT, read_scenario
    from training.simulate.several import simulate_seeds

    console = Console()
    with one_line_errors("simulate"):
        if through_gateway and seeds > 1:
            raise SettingsError("simulate: --seeds cannot be used with --through-gateway: leave one of them out")
        wanted = FORTNIGHT if scenario is None else read_scenario(scenario)
        wanted = wanted.with_changes(n_requests=requests, n_days=days, seed=seed, follows_gate=gate)
        plan = SimulationPlan(corpus, table_of, out, wanted)
        if through_gateway:
            run = simulate_through_gateway(plan, TerminalProgress(console))
            console.print(run.table())
            return
        if seeds > 1:
            several = simulate_seeds(plan, seeds, TerminalProgress(console))
            (console if console.is_terminal else Console(width=200)).print(several.table())
            console.print(f"[green]Wrote {out / PLOT_FILE} and {out / FIGURES_FILE}[/], and one folder for each seed.")
            return
        result = run_simulation(plan, TerminalProgress(console))
    (console if console.is_terminal else Console(width=200)).print(result.table())
    console.print(
        f"{result.n_explored:,} requests explored, expected to give up {result.explored_usd:.2f} USD; regret over "
        f"{wanted.n_requests:,} requests, judged on {result.n_held_out:,} prompts that were never sent."
    )
    console.print(f"[green]Wrote {out / PLOT_FILE} and {out / FIGURES_FILE}[/].")
