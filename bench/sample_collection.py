"""Makes the sample in `data/samples/collection`: a small part of a collection of graded answers of today's models.

Run `python -m bench.sample_collection COLLECTION data/samples/collection`. It needs the extra package `train` and takes
a few seconds. The same collection gives the same files. Only sources and rows of tables with a licence that asks for
credit alone are taken, see `training.abilities.licences`.

- Of each source: prompts in equal steps through all of them, and the rows (models at an effort) with most answers.
- Of the two tables: the rows of these models, and of a few models that no source has graded. Lengths that were computed
  from the graded answers are left out.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import pandas as pd

from training.abilities.graded_answers import of_main_agent
from training.abilities.licences import SOURCE_LICENCES, is_free, is_free_table
from training.demand.catalogue import BENCHMARKS_FILE, VERBOSITY_FILE
from training.demand.kept_aside import GRADED_HERE

SIZES: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        "abap": (60, 8),
        "es_business": (80, 11),
        "ko_translation": (80, 5),
        "misguided": (36, 11),
        "openhands_index": (90, 11),
        "sql": (90, 11),
        "svelte": (6, 11),
    }
)
"""Source -> most prompts and most rows."""
N_UNGRADED: Final = 8
"""Models of the table of published scores that no source has graded."""
_ORDER = ("prompt_id", "model", "effort")
_RESPONSES = (*_ORDER, "score", "completion_tokens", "tokens_kind", "reasoning_tokens", "cost_usd")
_BENCHMARKS = ("model", "effort", "benchmark", "domain", "score", "unit", "date", "source")
_VERBOSITY = ("model", "effort", "task", "mean_output_tokens", "mean_reasoning_tokens", "counts", "source")


def sample_source(folder: Path, n_prompts: int, n_rows: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return some prompts of a source, and the answers of the rows that answered most of them."""
    prompts = pd.read_parquet(folder / "prompts.parquet").sort_values("prompt_id", ignore_index=True)
    steps = np.unique(np.linspace(0, len(prompts) - 1, min(n_prompts, len(prompts))).round().astype(int))
    prompts = prompts.iloc[steps][["prompt_id", "task", "prompt"]]
    responses = of_main_agent(pd.read_parquet(folder / "responses.parquet"))
    responses = responses[responses["prompt_id"].isin(prompts["prompt_id"])]
    counts = responses.groupby(["model", "effort"])["prompt_id"].nunique().reset_index(name="n")
    most = counts.sort_values(["n", "model", "effort"], ascending=[False, True, True]).head(n_rows)
    kept = responses.merge(most[["model", "effort"]], on=["model", "effort"])
    return prompts, kept[list(_RESPONSES)].sort_values(list(_ORDER), ignore_index=True)


def sample_table(path: Path, columns: tuple[str, ...], models: set[str]) -> pd.DataFrame:
    """Return the published figures of these models that have a free licence."""
    table = pd.read_csv(path, keep_default_na=False, dtype=str)
    is_kept = table["source"].map(is_free_table).astype(bool) & ~table["source"].str.endswith(GRADED_HERE)
    return table[is_kept & table["model"].isin(models)][list(columns)]


def ungraded_models(path: Path, graded: set[str]) -> set[str]:
    """Return the models with most published scores among those that no source has graded."""
    table = pd.read_csv(path, keep_default_na=False, dtype=str)
    table = table[table["source"].map(is_free_table).astype(bool) & ~table["model"].isin(graded)]
    counts = table.groupby("model").size().reset_index(name="n").sort_values(["n", "model"], ascending=[False, True])
    return set(counts["model"].head(N_UNGRADED))


def write_sample(collection: Path, out: Path) -> None:
    """Write the sample of `collection` to `out`; a README that is there stays."""
    refused = [source for source in SIZES if not is_free(SOURCE_LICENCES[source])]
    if refused:
        raise ValueError(f"{refused[0]} has no free licence: take it out of SIZES")
    models: set[str] = set()
    everywhere: set[str] = set()
    for source, (n_prompts, n_rows) in SIZES.items():
        prompts, responses = sample_source(collection / source, n_prompts, n_rows)
        (out / source).mkdir(parents=True, exist_ok=True)
        prompts.to_parquet(out / source / "prompts.parquet", index=False, compression="zstd")
        responses.to_parquet(out / source / "responses.parquet", index=False, compression="zstd")
        models |= set(responses["model"])
        everywhere |= set(pd.read_parquet(collection / source / "responses.parquet", columns=["model"])["model"])
    models |= ungraded_models(collection / BENCHMARKS_FILE, everywhere)
    for name, columns in ((BENCHMARKS_FILE, _BENCHMARKS), (VERBOSITY_FILE, _VERBOSITY)):
        sample_table(collection / name, columns, models).to_csv(out / name, index=False)


def main() -> None:
    """Write the sample and print its size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collection", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    write_sample(arguments.collection, arguments.out)
    size = sum(path.stat().st_size for path in arguments.out.rglob("*") if path.is_file())
    print(f"{size / 1e3:.0f} kB in {arguments.out}")


if __name__ == "__main__":
    main()
