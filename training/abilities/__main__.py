"""Prints how well models that were never graded are predicted: `python -m training.abilities --data DIR`."""

import argparse
import sys
from pathlib import Path

import pandas as pd

from training.abilities.abilities import AbilitySettings
from training.abilities.graded_answers import read_graded
from training.abilities.left_out import complete_few_prompts, leave_models_out
from training.abilities.licences import is_free_table
from training.abilities.published import read_benchmarks, read_lengths
from training.errors import TrainingError

_SOME_SCORES = 3


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; return 0, or 2 if the data cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m training.abilities", description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with graded sources, benchmarks.csv and verbosity.csv"
    )
    parser.add_argument("--sources", nargs="+", help="graded sources; default: those with a free licence")
    parser.add_argument("--every-licence", action="store_true", help="also read data without a free licence")
    parser.add_argument("--folds", type=int, default=10, help="parts that are left out in turn (10)")
    parser.add_argument("--factors", type=int, default=AbilitySettings().n_factors, help="dimensions of ability (6)")
    parser.add_argument("--sweeps", type=int, default=600, help="Gibbs sweeps of each fit (600)")
    parser.add_argument("--seed", type=int, default=0, help="seed of folds and fits (0)")
    chosen = parser.parse_args(arguments)
    try:
        _print_tables(chosen)
    except TrainingError as problem:
        print(problem, file=sys.stderr)
        return 2
    return 0


def _print_tables(chosen: argparse.Namespace) -> None:
    sources = chosen.sources
    if sources is None and chosen.every_licence:
        sources = sorted(path.parent.name for path in chosen.data.glob("*/responses.parquet"))
    graded = read_graded(chosen.data, sources=sources)
    allowed = (lambda source: True) if chosen.every_licence else is_free_table
    benchmarks = read_benchmarks(chosen.data / "benchmarks.csv", allowed=allowed)
    settings = AbilitySettings(chosen.factors, chosen.sweeps, chosen.seed)
    lengths = read_lengths(chosen.data / "verbosity.csv", allowed=allowed)
    result = leave_models_out(graded, benchmarks, lengths, n_folds=chosen.folds, settings=settings)
    newest = leave_models_out(graded, benchmarks, lengths, newest_only=True, settings=settings)
    briers = {
        "all models": result.brier(),
        f"models with {_SOME_SCORES} published scores or more": result.brier(fewest_scores=_SOME_SCORES),
        f"newest of a vendor's lines, {_SOME_SCORES} scores or more": newest.brier(fewest_scores=_SOME_SCORES),
    }
    print("Brier score of models that were left out, each model with equal weight")
    print(pd.DataFrame(briers).T.round(4).to_string())
    print("\nBrier score by column")
    print(result.brier_by_column().round(4).to_string())
    print("\nShare of left-out log odds inside the stated intervals")
    print(result.coverage().round(3).to_string())
    print("\nThe same for the newest of a vendor's lines")
    print(newest.coverage().round(3).to_string())
    print("\nError of the predicted mean length of left-out models, in octaves")
    print(result.octaves_by_task().round(3).to_string())
    print("\nError of the mean grade on 70% of the prompts, after the other 30%")
    print(complete_few_prompts(graded, benchmarks, settings=settings).round(4).to_string())


if __name__ == "__main__":
    sys.exit(main())
