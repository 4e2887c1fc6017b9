"""Fits what a bundle believes of catalogue models: abilities of all rows, the demand network, and both as rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from router.catalogue_models import CatalogueModels
from training.abilities.abilities import Abilities, AbilitySettings, fit_abilities
from training.abilities.licences import is_free_table
from training.abilities.published import EFFORTS, read_benchmarks
from training.corpus.graded_corpus import Corpus
from training.demand.demand_vectors import demand_vectors
from training.demand.fitting import fit_demand_network, run_demand_network
from training.demand.graded_work import DemandExamples, GradedWork, read_demands, read_work
from training.demand.graph import DemandWeights, demand_weights
from training.demand.network import DemandNetwork, DemandSettings
from training.demand.row_beliefs import RowBeliefs, believe_rows, column_lengths, visible_and_reasoning
from training.demand.rows import catalogue_models, demand_names
from training.errors import CorpusError
from training.network.encoding import EncodedPrompts, encode_prompts
from training.network.input_scaler import InputScaler
from training.network.static_table import StaticTable

Float32s = npt.NDArray[np.float32]

BENCHMARKS_FILE, VERBOSITY_FILE = "benchmarks.csv", "verbosity.csv"
_LENGTH_COLUMNS = ("model", "effort", "task", "mean_output_tokens", "mean_reasoning_tokens", "counts", "source")


@dataclass(frozen=True, slots=True, eq=False)
class CatalogueData:
    """Everything that catalogue models are learned from.

    Args:
        work: Graded work of the collection and of the corpora.
        examples: Prompts with expected demands.
        benchmarks: Published scores, as `training.abilities.published.read_benchmarks` returns them.
        verbosity: Rows of `verbosity.csv` that state visible answers and reasoning.
    """

    work: GradedWork
    examples: DemandExamples
    benchmarks: pd.DataFrame
    verbosity: pd.DataFrame


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """A fitted catalogue.

    Args:
        network: Demand network.
        beliefs: Beliefs about all rows.
        models: The same as rows that are linear in the demand.
        names: Names of the entries of a demand vector.
        weights: Demand network as the graph holds it.
        n_prompts: Graded prompts of each source.
        n_examples: Number of prompts with expected demands.
        n_answers: Number of graded answers.
    """

    network: DemandNetwork
    beliefs: RowBeliefs
    models: CatalogueModels
    names: tuple[str, ...]
    weights: DemandWeights
    n_prompts: dict[str, int]
    n_examples: int
    n_answers: int

    def demand_of(self, inputs: Float32s) -> Float32s:
        """Return the demand vectors of standardised inputs (n, n_inputs), shape (n, n_demands)."""
        return demand_vectors(run_demand_network(self.network, inputs), inputs, self.weights)


def read_catalogue_data(
    collection: Path,
    corpora: Sequence[tuple[str, Corpus]],
    demands: Path,
    *,
    every_licence: bool = False,
) -> CatalogueData:
    """Read everything that catalogue models are learned from.

    Args:
        collection: Folder with a folder for each graded source, `benchmarks.csv` and `verbosity.csv`.
        corpora: Name and content of corpora of reference models.
        demands: Folder like `data/demands`.
        every_licence: Whether data without a free licence is read, too; such a bundle must not be given away.

    Raises:
        CorpusError: A file is missing or malformed; the message names the file, the row and the fix.
    """
    sources = sorted(path.parent.name for path in collection.glob("*/responses.parquet")) if every_licence else None
    allowed: Callable[[str], bool] = (lambda source: True) if every_licence else is_free_table
    return CatalogueData(
        read_work(collection, corpora, sources),
        read_demands(demands),
        read_benchmarks(collection / BENCHMARKS_FILE, allowed=allowed),
        _read_verbosity(collection / VERBOSITY_FILE, allowed),
    )


def is_collection(folder: Path) -> bool:
    """Return whether a folder holds a collection of graded sources, a folder each, and not one flat corpus."""
    return not (folder / "prompts.parquet").exists() and any(folder.glob("*/prompts.parquet"))


def encode_catalogue_data(
    data: CatalogueData, table: StaticTable, advance: Callable[[], None] = lambda: None
) -> EncodedPrompts:
    """Return the encoded prompts: graded ones first, then those with expected demands."""
    return encode_prompts([*data.work.contexts(), *data.examples.contexts()], table, advance)


def fit_catalogue_abilities(data: CatalogueData, settings: AbilitySettings | None = None) -> Abilities:
    """Return the abilities of all models, each also at its provider's default effort."""
    models = {model for model, _ in data.work.rows} | set(data.benchmarks["model"])
    lengths = pd.concat([visible_and_reasoning(data.verbosity), column_lengths(data.work)], ignore_index=True)
    return fit_abilities(
        data.work.answers,
        data.benchmarks,
        lengths=lengths,
        wanted=[(model, "") for model in sorted(models)],
        settings=settings,
    )


def fit_catalogue(
    data: CatalogueData,
    encoded: EncodedPrompts,
    scaler: InputScaler,
    abilities: Abilities,
    settings: DemandSettings | None = None,
    advance: Callable[[float], None] = lambda share: None,
) -> Catalogue:
    """Fit the demand network and write all beliefs as rows.

    Args:
        data: Data of the fit.
        encoded: Prompts of `encode_catalogue_data`.
        scaler: Scaler of the bundle's graph.
        abilities: Abilities of all rows.
        settings: Settings of the network. None: the defaults.
        advance: Function to call after each step, with the share of all steps done since the last call.
    """
    work = data.work
    beliefs = believe_rows(abilities, work)
    inputs = scaler.transform(encoded)
    settings = settings or DemandSettings()
    network = fit_demand_network(inputs, work, data.examples, beliefs.of_rows(work.rows), settings, advance)
    is_reference = np.isin(np.array(beliefs.columns), work.reference_columns)
    counts = pd.Series(work.sources).value_counts()
    return Catalogue(
        network,
        beliefs,
        catalogue_models(beliefs, abilities, is_reference),
        demand_names(beliefs.columns),
        demand_weights(network, is_reference, beliefs.has_lengths, inputs),
        {str(source): int(counts[source]) for source in sorted(counts.index)},
        len(data.examples.prompts),
        int((~np.isnan(work.scores)).sum()),
    )


def _read_verbosity(path: Path, allowed: Callable[[str], bool]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, keep_default_na=False, dtype=str)
    except (OSError, ValueError) as problem:
        raise CorpusError(path, f"cannot be read ({problem})", "give a CSV with a header") from problem
    missing = [name for name in _LENGTH_COLUMNS if name not in table.columns]
    if missing:
        raise CorpusError(path, f"has no column {missing[0]!r}", f"give the columns {', '.join(_LENGTH_COLUMNS)}")
    table["effort"] = table["effort"].replace({"enabled": "thinking"})
    kept = table[table["source"].map(allowed).astype(bool) & table["effort"].isin(["", *EFFORTS])].copy()
    for name in ("mean_output_tokens", "mean_reasoning_tokens"):
        kept[name] = pd.to_numeric(kept[name], errors="coerce")
    return kept[kept["mean_output_tokens"] > 0]
