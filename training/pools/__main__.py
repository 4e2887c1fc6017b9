"""Compares routing with what people would do without it: `python -m training.pools`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from training.abilities.abilities import AbilitySettings
from training.atomic_write import replace_file
from training.corpus.graded_corpus import read_corpus
from training.demand.catalogue import read_catalogue_data
from training.demand.network import DemandSettings
from training.errors import SettingsError, TrainingError
from training.network.base_bundle import read_base_bundle
from training.pools.complexity_tiers import litellm_version
from training.pools.fits import Recipe
from training.pools.report import ablations_text, as_json, comparison_text, unseen_text, write_into_bundle
from training.pools.study import Study, compare_pools, judge_ablations, judge_unseen
from training.pools.work_pools import DAY_ONE_KEYS

_ROOT = Path(__file__).parents[2]
_STUDIES = ("comparison", "unseen", "ablations")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; return 0, or 2 if the data cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m training.pools", description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="corpus of the reference models")
    parser.add_argument("--collection", type=Path, required=True, help="folder of graded sources and published tables")
    parser.add_argument(
        "--demands", type=Path, default=_ROOT / "data" / "demands", help="prompts with expected demands"
    )
    parser.add_argument("--bundle", type=Path, required=True, help="bundle that has the embedding table")
    parser.add_argument(
        "--write", action="store_true", help="put the comparison into the manifest and card of --bundle"
    )
    parser.add_argument("--studies", nargs="+", choices=_STUDIES, default=["comparison"], help="(comparison)")
    parser.add_argument(
        "--keys", default=",".join(DAY_ONE_KEYS), help="providers with a key, by their genai-prices ids"
    )
    parser.add_argument("--litellm", type=Path, help="a Python with litellm[proxy]; without it, its router is left out")
    parser.add_argument("--every-licence", action="store_true", help="also read data without a free licence")
    parser.add_argument("--sweeps", type=int, default=AbilitySettings().n_sweeps, help="Gibbs sweeps of a fit (1500)")
    parser.add_argument("--epochs", type=int, default=DemandSettings().epochs, help="passes of a fit (40)")
    parser.add_argument("--seed", type=int, default=0, help="seed of split, fits and redraws (0)")
    parser.add_argument("--out", type=Path, help="file for all figures, as JSON")
    try:
        _run(parser.parse_args(arguments))
    except TrainingError as problem:
        print(problem, file=sys.stderr)
        return 2
    return 0


def _run(chosen: argparse.Namespace) -> None:
    if chosen.write and "comparison" not in chosen.studies:
        raise SettingsError("--write needs the comparison: add it to --studies")
    keys = tuple(name.strip() for name in chosen.keys.split(",") if name.strip())
    version = None if chosen.litellm is None else litellm_version(chosen.litellm)
    corpus = read_corpus(chosen.corpus)
    data = read_catalogue_data(
        chosen.collection, [(chosen.corpus.name, corpus)], chosen.demands, every_licence=chosen.every_licence
    )
    study = Study.of(chosen.collection, data, read_base_bundle(chosen.bundle).table, chosen.seed)
    recipe = Recipe(
        AbilitySettings(n_sweeps=chosen.sweeps, seed=chosen.seed),
        DemandSettings(epochs=chosen.epochs, seed=chosen.seed),
    )
    comparisons = compare_pools(study, keys, chosen.litellm, recipe) if "comparison" in chosen.studies else []
    if comparisons:
        print(comparison_text(comparisons), flush=True)
    unseen = [judge_unseen(study, keys, recipe, source) for source in study.sources if "unseen" in chosen.studies]
    if unseen:
        print(f"\n{unseen_text(unseen)}", flush=True)
    ablations = judge_ablations(study, keys, recipe) if "ablations" in chosen.studies else []
    if ablations:
        print(f"\n{ablations_text(ablations)}", flush=True)
    if chosen.out is not None:
        text = json.dumps(as_json(comparisons, unseen, ablations, version), indent=1) + "\n"
        replace_file(chosen.out, lambda stream: stream.write(text.encode()))
    if chosen.write:
        write_into_bundle(chosen.bundle, comparisons)


if __name__ == "__main__":
    sys.exit(main())
