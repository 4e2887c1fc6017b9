"""Shows after how many judged answers an account's own correction beats the bundle, for each source of a corpus.

Run as `python -m training.account_correction.study --corpus FOLDER [--seeds 10] [--plot FILE]`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from training.account_correction.outside import believe_from_outside
from training.account_correction.traffic import ROUNDS, WAYS, Point, replay_all
from training.atomic_write import replace_file
from training.corpus.graded_corpus import PRICES_FILE, read_corpus, read_prices
from training.corpus.pools import make_pools
from training.corpus.routing_measures import Floats
from training.network.base_bundle import read_base_bundle
from training.network.encoding import encode_prompts
from training.settings import FitSettings

_EPOCHS: Final = 8
"""Epochs of the networks that learn all sources but one: about a quarter of a bundle's.

They know little about a source that they never saw, however long they are fitted.
"""
MEASURES: Final = (
    ("log_loss", "log loss, nats", 1.0),
    ("gap_closed", "gap closed", 1.0),
    ("utility_usd", "utility, USD per 1,000", 1_000.0),
)


def study(corpus_folder: Path, bundle_folder: Path, seeds: Sequence[int]) -> dict[str, list[Point]]:
    """Return source -> points.

    Args:
        corpus_folder: Folder of the corpus.
        bundle_folder: Folder of a bundle; only its table of words is used.
        seeds: Seeds of the accounts' traffic, one for each account.

    Raises:
        TrainingError: The corpus is unusable.
        router.errors.BundleError: The bundle is unusable.
    """
    corpus = read_corpus(corpus_folder)
    prices = read_prices(corpus_folder / PRICES_FILE, corpus.trained_names)
    encoded = encode_prompts(corpus.contexts(), read_base_bundle(bundle_folder).table)
    points = {}
    for pool in make_pools(corpus, prices):
        outside = believe_from_outside(corpus, encoded, prices, pool, FitSettings(epochs=_EPOCHS), 0)
        print(
            f"{pool.source}: {len(pool.rows):,} prompts, {len(pool.columns)} models, "
            f"{outside.n_known} of them known elsewhere"
        )
        points[pool.source] = replay_all(outside, seeds)
    return points


def print_table(points: dict[str, list[Point]]) -> None:
    """Print a table for each source and measure, one line for each number of requests.

    A line has the bundle's figure and the gain of each correction, with twice its standard error.
    """
    for source, of_source in points.items():
        for name, title, scale in MEASURES:
            print(f"\n{source}: {title}\nrequests  judged  {'bundle':>8}  " + "".join(f"{way:>20}" for way in WAYS[1:]))
            for n_requests in ROUNDS[1:]:
                bundle = _figures(of_source, WAYS[0], n_requests, name) * scale
                n_judged = np.mean([point.n_judged for point in of_source if point.n_requests == n_requests])
                gains = [_figures(of_source, way, n_requests, name) * scale - bundle for way in WAYS[1:]]
                cells = "".join(f"{gain.mean():+12.3f} ± {_twice_error(gain):.3f}" for gain in gains)
                print(f"{n_requests:8,}  {n_judged:6,.0f}  {bundle.mean():8.3f}  {cells}")


def plot_curves(points: dict[str, list[Point]], path: Path) -> None:
    """Write a PNG with the gain of each correction over the bundle, by number of judged answers.

    The bands are twice the standard error over seeds.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 2.9 * len(points)), layout="constrained")
    axes = figure.subplots(len(points), len(MEASURES), squeeze=False)
    for row, (source, of_source) in zip(axes, points.items(), strict=True):
        for axis, (name, title, scale) in zip(row, MEASURES, strict=True):
            for way, colour in zip(WAYS[1:], ("#8a8a8a", "#0b6e4f"), strict=True):
                gains = np.array(
                    [
                        (_figures(of_source, way, n, name) - _figures(of_source, WAYS[0], n, name)) * scale
                        for n in ROUNDS[1:]
                    ]
                )
                judged = [np.mean([point.n_judged for point in of_source if point.n_requests == n]) for n in ROUNDS[1:]]
                error = np.array([_twice_error(gain) for gain in gains])
                axis.plot(judged, gains.mean(axis=1), color=colour, marker="o", markersize=3, label=way)
                axis.fill_between(
                    judged, gains.mean(axis=1) - error, gains.mean(axis=1) + error, color=colour, alpha=0.2, lw=0
                )
            axis.axhline(0, color="black", lw=0.8)
            axis.set_xscale("log")
            axis.set_title(f"{source}: {title}, less the bundle's", fontsize=9)
            axis.tick_params(labelsize=8)
    for axis in axes[-1]:
        axis.set_xlabel("judged answers", fontsize=9)
    axes[0, 0].legend(fontsize=8, frameon=False)
    replace_file(path, lambda stream: figure.savefig(stream, format="png", dpi=110))


def _figures(points: Sequence[Point], way: str, n_requests: int, measure: str) -> Floats:
    """Return the measure of each seed, in ascending order of seeds."""
    chosen = [point for point in points if point.way == way and point.n_requests == n_requests]
    return np.array([getattr(point, measure) for point in sorted(chosen, key=lambda point: point.seed)], np.float64)


def _twice_error(values: Floats) -> float:
    return float(2 * values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def main() -> None:
    """Print the tables and write the plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--corpus", type=Path, required=True, help="folder with prompts.parquet, responses.parquet and prices.csv"
    )
    parser.add_argument(
        "--bundle", type=Path, default=Path("models/llmdeal-base-2"), help="bundle; only its table of words is used"
    )
    parser.add_argument("--seeds", type=int, default=10, help="number of accounts for each source")
    parser.add_argument("--plot", type=Path, help="PNG file to write")
    options = parser.parse_args()
    points = study(options.corpus, options.bundle, range(options.seeds))
    print_table(points)
    if options.plot is not None:
        plot_curves(points, options.plot)


if __name__ == "__main__":
    main()
