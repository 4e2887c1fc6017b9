"""Prints how well catalogue models are predicted on prompts that were kept aside: `python -m training.demand`."""

import argparse
import sys
from pathlib import Path

from training.corpus.graded_corpus import read_corpus
from training.demand.catalogue import read_catalogue_data
from training.demand.kept_aside import as_table, judge_kept_aside
from training.errors import TrainingError
from training.network.base_bundle import read_base_bundle

_ROOT = Path(__file__).parents[2]


def main(arguments: list[str] | None = None) -> int:
    """Print the table; return 0, or 2 if the data cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m training.demand", description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="corpus of the reference models")
    parser.add_argument("--collection", type=Path, required=True, help="folder of graded sources and published tables")
    parser.add_argument(
        "--demands", type=Path, default=_ROOT / "data" / "demands", help="prompts with expected demands"
    )
    parser.add_argument("--bundle", type=Path, required=True, help="bundle that has the embedding table")
    parser.add_argument("--every-licence", action="store_true", help="also read data without a free licence")
    parser.add_argument("--seed", type=int, default=0, help="seed of the split (0)")
    chosen = parser.parse_args(arguments)
    try:
        corpus = read_corpus(chosen.corpus)
        data = read_catalogue_data(
            chosen.collection, [(chosen.corpus.name, corpus)], chosen.demands, every_licence=chosen.every_licence
        )
        results = judge_kept_aside(data, read_base_bundle(chosen.bundle).table, chosen.seed)
    except TrainingError as problem:
        print(problem, file=sys.stderr)
        return 2
    print(as_table(results).round(4).to_string())
    return 0


if __name__ == "__main__":
    sys.exit(main())
