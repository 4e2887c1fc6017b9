"""The commands `llmdeal train`, `predict` and `evaluate`.

They join the command line through the entry-point group `llmdeal.commands`.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from training.command_errors import one_line_errors

BundleFolder = Annotated[Path, typer.Option(help="Folder of the bundle.")]
CorpusFolder = Annotated[Path, typer.Option(help="Folder with prompts.parquet, responses.parquet and prices.csv.")]


def train(
    corpus: Annotated[
        Path, typer.Option(help="Folder with prompts.parquet, responses.parquet and, for measures, prices.csv.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the new bundle; the folder's name becomes the bundle's name.")],
    base: Annotated[
        Path | None, typer.Option("--from", help="Bundle to start from: the prior for small corpora.")
    ] = None,
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
            f"{source}: gap closed [bold]{row['gap_closed']:.2f}[/], saved at 95% {row['save_95']:.0%}, "
            f"AUC {row['auc']:.2f}, calibration error {row['ece']:.3f} (cross-validated)"
        )
    console.print(
        f"[green]Wrote {out}[/]. Serve it with LLMDEAL_BUNDLE={out} llmdeal serve, or judge it with llmdeal evaluate."
    )


def predict(
    bundle: BundleFolder,
    prompts: Annotated[Path, typer.Option(help="Parquet file with columns prompt_id and prompt.")],
    out: Annotated[Path, typer.Option(help="Parquet file to write: prompt_id, model, quality, completion_tokens.")],
) -> None:
    """Write what a bundle predicts for every prompt and model."""
    from training.bundle.predict import predict_file
    from training.progress import TerminalProgress

    console = Console()
    with one_line_errors("predict"):
        rows = predict_file(bundle, prompts, out, TerminalProgress(console))
    console.print(f"[green]Wrote {out}[/]: {rows:,} predictions.")


def evaluate(
    bundle: BundleFolder,
    corpus: CorpusFolder,
    plot: Annotated[Path, typer.Option(help="PNG file to write: quality against cost.")] = Path("quality-cost.png"),
    out: Annotated[
        Path | None, typer.Option(help="Folder to write the whole report to: report.html, its pictures, figures.json.")
    ] = None,
    in_sample: Annotated[bool, typer.Option(help="Judge the bundle itself on prompts that it was fitted to.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split into folds.")] = 0,
    trees: Annotated[bool, typer.Option(help="Fit LightGBM as a baseline, too: minutes more.")] = False,
    left_out: Annotated[
        bool, typer.Option(help="Judge each source by a network that saw none of it, too: minutes more.")
    ] = False,
    new_models: Annotated[
        bool, typer.Option(help="Judge each model as a new one that is placed by 50 answers, too: minutes more.")
    ] = False,
    ablations: Annotated[
        bool, typer.Option(help="Judge the recipe with each part taken out, too: many minutes more.")
    ] = False,
) -> None:
    """Judge a bundle on graded answers: quality against cost, calibration, bars, baselines."""
    import sys

    from training.evaluation.baselines import BASELINES, QUICK_BASELINES
    from training.evaluation.evaluate import EvaluationScope, evaluate_bundle
    from training.evaluation.report.page import PAGE_FILE, write_report
    from training.evaluation.report.quality_cost_plot import plot_quality_cost
    from training.evaluation.report.terminal import print_evaluation
    from training.progress import TerminalProgress

    console = Console()
    with one_line_errors("evaluate"):
        names = tuple(BASELINES) if trees else QUICK_BASELINES
        scope = EvaluationScope(in_sample, seed, names, left_out, new_models, ablations)
        evaluation = evaluate_bundle(bundle, corpus, scope, TerminalProgress(console))
        plot_quality_cost(evaluation.pools, plot, f"Routing with {evaluation.version}")
        if out is not None:
            write_report(evaluation, out, " ".join(["llmdeal", *sys.argv[1:]]))
    print_evaluation(_wide(console), evaluation)
    written = plot if out is None else f"{plot} and {out / PAGE_FILE}"
    console.print(f"[dim]{evaluation.note}[/]\n[green]Wrote {written}[/].")


def _wide(console: Console) -> Console:
    """Return a console with room for the tables when the output is not a terminal."""
    return console if console.is_terminal else Console(width=max(console.width, 140))
