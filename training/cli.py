"""`llmdeal train`, `predict` and `evaluate`; they join the command line through the entry-point group `llmdeal.commands`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from router.errors import RouterError
from training.errors import TrainingError

if TYPE_CHECKING:
    from training.evaluate import BundleEvaluation

BundleFolder = Annotated[Path, typer.Option(help="Folder of the bundle.")]
CorpusFolder = Annotated[Path, typer.Option(help="Folder with prompts.parquet, responses.parquet and prices.csv.")]


def train(
    corpus: Annotated[Path, typer.Option(help="Folder with prompts.parquet, responses.parquet and, for measures, prices.csv.")],
    out: Annotated[Path, typer.Option(help="Folder of the new bundle; its name becomes the bundle's.")],
    base: Annotated[Path | None, typer.Option("--from", help="Bundle to start from: the prior for small corpora.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same corpus, same seed: same bundle.")] = 0,
    track: Annotated[str, typer.Option(help="MLflow tracking address or folder; by default nothing is tracked.")] = "",
) -> None:
    """Fit a quality model on graded answers and export it as a bundle."""
    from training.progress import TerminalProgress
    from training.train import train_bundle

    console = Console()
    with one_line_errors("train"):
        measures = train_bundle(corpus, out, base, seed, TerminalProgress(console))
        if track:
            from training.tracking import track_run

            track_run(track, out.name, {"corpus": str(corpus), "seed": seed, "base": str(base or "")}, measures, out)
    for source, row in measures.items():
        console.print(
            f"{source}: gap closed [bold]{row['gap_closed']:.2f}[/], saved at 95% {row['save_95']:.0%}, AUC {row['auc']:.2f}, "
            f"calibration error {row['ece']:.3f} (cross-validated)"
        )
    console.print(f"[green]Wrote {out}[/]. Serve it with LLMDEAL_BUNDLE={out} llmdeal serve, or judge it with llmdeal evaluate.")


def predict(
    bundle: BundleFolder,
    prompts: Annotated[Path, typer.Option(help="Parquet file with columns prompt_id and prompt.")],
    out: Annotated[Path, typer.Option(help="Parquet file to write: prompt_id, model, quality, completion_tokens.")],
) -> None:
    """Write what a bundle predicts for every prompt and model."""
    from training.predict import predict_file
    from training.progress import TerminalProgress

    console = Console()
    with one_line_errors("predict"):
        rows = predict_file(bundle, prompts, out, TerminalProgress(console))
    console.print(f"[green]Wrote {out}[/]: {rows:,} predictions.")


def evaluate(
    bundle: BundleFolder,
    corpus: CorpusFolder,
    plot: Annotated[Path, typer.Option(help="PNG file to write.")] = Path("quality-cost.png"),
    in_sample: Annotated[bool, typer.Option(help="Judge the bundle itself on prompts that it was fitted to.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the folds.")] = 0,
    trees: Annotated[bool, typer.Option(help="Fit LightGBM as a baseline, too: minutes more.")] = False,
    left_out: Annotated[
        bool, typer.Option(help="Judge each source by a network that saw none of it, too: minutes more.")
    ] = False,
) -> None:
    """Judge a bundle on graded answers: quality-cost curve, calibration, baselines."""
    from training.baselines import BASELINES, QUICK_BASELINES
    from training.evaluate import evaluate_bundle
    from training.progress import TerminalProgress
    from training.quality_cost_plot import plot_quality_cost

    console = Console()
    with one_line_errors("evaluate"):
        names = tuple(BASELINES) if trees else QUICK_BASELINES
        evaluation = evaluate_bundle(bundle, corpus, in_sample, seed, TerminalProgress(console), names, left_out)
        plot_quality_cost(evaluation.pools, plot, f"Routing with {evaluation.version}")
    _print_tables(console, evaluation)
    console.print(f"[dim]{evaluation.note}[/]\n[green]Wrote {plot}[/].")


@contextmanager
def one_line_errors(command: str) -> Iterator[None]:
    """Turn errors that the user can mend into one line and exit status 2."""
    try:
        yield
    except (TrainingError, RouterError) as error:
        typer.secho(f"llmdeal {command}: {error}", err=True, fg="red")
        raise SystemExit(2) from None


def _print_tables(console: Console, evaluation: "BundleEvaluation") -> None:
    headings = (
        "router",
        "gap closed",
        "saved at 95%",
        "at 98%",
        "at 100%",
        "best score",
        "AUC",
        "Brier",
        "calibration",
        "cost bias",
    )
    for judged in evaluation.pools:
        title = f"{judged.pool.source}: {len(judged.pool.rows):,} prompts, {len(judged.pool.trained_names)} models"
        table = Table(*headings, title=title, title_justify="left")
        for name, row in judged.measures.items():
            saved = [f"{share:.0%}" if share != -1 else "never" for share in (row.save_95, row.save_98, row.save_100)]
            scored = [f"{value:.3f}" if value == value else "–" for value in (row.auc, row.brier, row.ece)]
            bias = f"{row.cost_bias:+.1%}" if row.cost_bias == row.cost_bias else "–"
            table.add_row(name, f"{row.gap_closed:.3f}", *saved, f"{row.best_score:.1%}", *scored, bias)
        console.print(table)
    console.print(_stability_table(evaluation))
    if evaluation.left_out:
        console.print(_left_out_table(evaluation))


def _stability_table(evaluation: "BundleEvaluation") -> Table:
    perturbations = list(evaluation.stability[0].kept)
    title = "Choices that stay the same, at half of the best single model's cost"
    table = Table("pool", *perturbations, "models in use", title=title, title_justify="left")
    for row in evaluation.stability:
        table.add_row(row.source, *(f"{row.kept[name]:.0%}" for name in perturbations), f"{row.n_effective:.1f}")
    return table


def _left_out_table(evaluation: "BundleEvaluation") -> Table:
    title = "Sources never seen: share of the gap from a weak to the strongest model recovered by difficulty; 0.50 is a toss of a coin"
    table = Table("source", "by difficulty", "by length of the prompt", "pairs of models", title=title, title_justify="left")
    for row in evaluation.left_out:
        table.add_row(row.source, f"{row.gap_recovered:.3f}", f"{row.by_length:.3f}", str(row.pairs))
    return table
