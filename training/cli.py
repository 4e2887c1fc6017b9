"""The commands `llmdeal train`, `predict` and `evaluate`.

They join the command line through the entry-point group `llmdeal.commands`.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from training.command_errors import one_line_errors

DEMANDS_FOLDER = Path(__file__).parent.parent / "data" / "demands"
BundleFolder = Annotated[Path, typer.Option(help="Folder of the bundle.")]
CorpusFolder = Annotated[Path, typer.Option(help="Folder with prompts.parquet, responses.parquet and prices.csv.")]


def train(
    corpus: Annotated[
        list[Path],
        typer.Option(
            help="Folder with prompts.parquet, responses.parquet and, for measures, prices.csv. Given a second time: a "
            "collection, a folder with a folder for each graded source, benchmarks.csv and verbosity.csv."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the new bundle; the folder's name becomes the bundle's name.")],
    base: Annotated[
        Path | None, typer.Option("--from", help="Bundle to start from: the prior for small corpora.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same corpus, same seed: same bundle.")] = 0,
    demands: Annotated[
        Path, typer.Option(help="Folder of prompts with expected demands; read together with a collection.")
    ] = DEMANDS_FOLDER,
    every_licence: Annotated[
        bool, typer.Option(help="Also learn from data without a free licence. Do not give such a bundle away.")
    ] = False,
    track: Annotated[str, typer.Option(help="MLflow tracking address or folder; by default nothing is tracked.")] = "",
) -> None:
    """Fit a quality model on graded answers and export it as a bundle."""
    from training.progress import TerminalProgress
    from training.train import CatalogueSources, train_bundle

    console = Console()
    with one_line_errors("train"):
        flat, collection = _split_corpora(corpus)
        sources = None if collection is None else CatalogueSources(collection, demands, every_licence)
        measures = train_bundle(flat, out, base, seed, TerminalProgress(console), sources=sources)
        if track:
            from training.tracking import track_run

            track_run(
                track,
                out.name,
                {"corpus": " ".join(map(str, corpus)), "seed": seed, "base": str(base or "")},
                measures,
                out,
            )
    for source, row in measures.items():
        console.print(
            f"{source}: gap closed [bold]{row['gap_closed']:.2f}[/], saved at 95% {row['save_95']:.0%}, "
            f"AUC {row['auc']:.2f}, calibration error {row['ece']:.3f} (cross-validated)"
        )
    console.print(
        f"[green]Wrote {out}[/]. Serve it with LLMDEAL_BUNDLE={out} llmdeal serve, or judge it with llmdeal evaluate."
    )


def _split_corpora(folders: list[Path]) -> tuple[Path, Path | None]:
    """Return the flat corpus, and the collection if there is one."""
    from training.demand.catalogue import is_collection
    from training.errors import SettingsError

    collections = [folder for folder in folders if is_collection(folder)]
    flat = [folder for folder in folders if folder not in collections]
    if len(flat) != 1 or len(collections) > 1:
        raise SettingsError(
            f"--corpus: {len(flat)} flat corpora and {len(collections)} collections: give one folder with "
            "prompts.parquet, and at most one folder of graded sources"
        )
    return flat[0], collections[0] if collections else None


def predict(
    bundle: BundleFolder,
    prompts: Annotated[Path, typer.Option(help="Parquet file with columns prompt_id and prompt.")],
    out: Annotated[Path, typer.Option(help="Parquet file to write: prompt_id, model, quality, completion_tokens.")],
    models: Annotated[
        Path | None,
        typer.Option(
            help="CSV file with the column model (vendor/model, or vendor/model@effort), and prices if you like. The "
            "file to write then also has quality_std, reasoning_tokens, cost_usd and basis. By default: the reference "
            "models of the bundle."
        ),
    ] = None,
) -> None:
    """Write what a bundle predicts for every prompt and model."""
    from training.bundle.predict import predict_file, predict_models_file
    from training.progress import TerminalProgress

    console = Console()
    with one_line_errors("predict"):
        progress = TerminalProgress(console)
        if models is None:
            rows = predict_file(bundle, prompts, out, progress)
        else:
            rows = predict_models_file(bundle, prompts, models, out, progress)
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
    collection: Annotated[
        Path | None,
        typer.Option(
            help="Folder with a folder for each graded source, benchmarks.csv and verbosity.csv: judge catalogue "
            "models, too, on prompts that are kept aside: a minute more."
        ),
    ] = None,
    demands: Annotated[
        Path, typer.Option(help="Folder of prompts with expected demands; read together with a collection.")
    ] = DEMANDS_FOLDER,
    every_licence: Annotated[
        bool, typer.Option(help="Also read data of the collection that has no free licence.")
    ] = False,
) -> None:
    """Judge a bundle on graded answers: quality against cost, calibration, bars, baselines."""
    import sys

    from training.evaluation.baselines import BASELINES, QUICK_BASELINES
    from training.evaluation.evaluate import CollectionScope, EvaluationScope, evaluate_bundle
    from training.evaluation.report.page import PAGE_FILE, write_report
    from training.evaluation.report.quality_cost_plot import plot_quality_cost
    from training.evaluation.report.terminal import print_evaluation
    from training.progress import TerminalProgress

    console = Console()
    with one_line_errors("evaluate"):
        names = tuple(BASELINES) if trees else QUICK_BASELINES
        work = None if collection is None else CollectionScope(collection, demands, every_licence)
        scope = EvaluationScope(in_sample, seed, names, left_out, new_models, ablations, work)
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
