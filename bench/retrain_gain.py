"""Measures the gain from learning from logs.

A graded corpus becomes bandit logs: one lane is drawn for each prompt, with a known chance. The results are judged on
prompts that no fit saw. Run `python -m bench.retrain_gain --corpus DIR [--seeds 3] [--split 1] [--folder DIR]`. There
are two kinds of champions:

- `same`: trained on 15% of the corpus; its traffic comes from the rest of the same corpus.
- One for each source: trained on 2,500 prompts of the other sources; its traffic comes from this source. It does not
  know most of this source's models.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from router.ability_prior import AbilityPrior
from router.log_odds import logit
from serve.bundles.choice import bundle_folder
from training.bundle.export_onnx import GraphParts
from training.bundle.reference_sample import sample_reference
from training.bundle.writer import TrainingRecord, write_bundle
from training.corpus.graded_corpus import Corpus, read_corpus, read_prices
from training.corpus.pools import find_pools
from training.corpus.routing_measures import Pool, measure_router
from training.corpus.splits import group_near_duplicates
from training.network.cross_fit import fit_out_of_fold, fit_whole
from training.network.encoding import EncodedPrompts, encode_prompts
from training.network.static_table import StaticTable
from training.retrain.challenger import beliefs_of
from training.retrain.champion import Champion, read_champion
from training.retrain.correction import Judged, LogitSpace, NotedAbility, fit_logit_map
from training.retrain.evidence_table import CALIBRATE, TRAIN, Evidence
from training.retrain.folding import fold_logit_map
from training.retrain.fused_network import run_heads
from training.retrain.lane_models import LaneModels
from training.retrain.settings import RetrainSettings
from training.retrain.stages import learn, learn_from_all
from training.retrain.work_folder import WorkFolder
from training.settings import FitSettings

Ints = npt.NDArray[np.intp]
Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

SIZES = (300, 1_000, 3_000, 10_000)
_CHAMPION_PROMPTS = 2_500
_EXPLORED, _TEMPERATURE = 0.2, 0.05
_CALIBRATE_SHARE = 0.2
MEASURES = ("gap_closed", "auc", "brier", "ece")


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """An encoded corpus with its pools and prices.

    Args:
        corpus, prices, encoded, pools: Corpus, prices, encoded prompts and pools of all prompts.
        group: Shape (n,); group of each prompt; near-duplicates share one.
    """

    corpus: Corpus
    prices: Float32s
    encoded: EncodedPrompts
    pools: Sequence[Pool]
    group: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """A champion and its traffic.

    Args:
        name: Name in the output.
        champion: Bundle that routes.
        pools: Pools that the prompts are routed in.
        models: Models of the champion and new models.
        logged, held_out: Rows of the prompts that are logged, and of those that judge.
    """

    name: str
    champion: Champion
    pools: Sequence[Pool]
    models: LaneModels
    logged: Ints
    held_out: Ints


def read_world(folder: Path, table: StaticTable) -> World:
    """Read and encode a corpus."""
    corpus = read_corpus(folder)
    prices = read_prices(folder / "prices.csv", corpus.trained_names)
    encoded = encode_prompts(corpus.contexts(), table)
    return World(corpus, prices, encoded, find_pools(corpus, prices), group_near_duplicates(corpus.prompts))


def make_settings(world: World, table: StaticTable, folder: Path, split: int) -> Iterator[Setting]:
    """Yield the champions and their traffic; `split` is the seed of the split of the prompts."""
    random = np.random.default_rng(split)
    share = _shares(world.group, random)
    yield _setting("same", world, table, folder, np.flatnonzero(share < 0.15), world.pools, share)
    for pool in world.pools:
        others = np.flatnonzero(world.corpus.sources != pool.source)
        chosen = np.sort(random.choice(others, min(_CHAMPION_PROMPTS, len(others)), replace=False))
        yield _setting(
            pool.source, world, table, folder, chosen, [pool], np.where(world.corpus.sources == pool.source, share, 0)
        )


def _shares(group: Ints, random: np.random.Generator) -> Floats:
    """Return a number in 0..1 for each prompt, the same within a group."""
    return np.asarray(random.random(int(group.max()) + 1)[group], np.float64)


def _setting(
    name: str, world: World, table: StaticTable, folder: Path, fitted: Ints, pools: Sequence[Pool], share: Floats
) -> Setting:
    champion = _fit_champion(world, table, folder / name, fitted)
    trained = champion.trained_names
    new = tuple(sorted({model for pool in pools for model in pool.trained_names} - set(trained)))
    names = (*trained, *new)
    models = LaneModels(names, names, trained, new, np.arange(len(names)), _noted_abilities(champion, world, new))
    routed = np.unique(np.concatenate([pool.rows for pool in pools]))
    return Setting(
        name,
        champion,
        pools,
        models,
        routed[(share[routed] >= 0.15) & (share[routed] < 0.75)],
        routed[share[routed] >= 0.75],
    )


def _noted_abilities(champion: Champion, world: World, new: Sequence[str]) -> tuple[NotedAbility | None, ...]:
    prior = champion.bundle.ability_prior
    price = dict(zip(world.corpus.trained_names, world.prices[:, 1].tolist(), strict=True))
    return tuple(
        None if prior is None or not price[name] > 0 else (prior.of(name, price[name]), prior.std) for name in new
    )


def _fit_champion(world: World, table: StaticTable, folder: Path, rows: Ints) -> Champion:
    if folder.is_dir():
        return read_champion(folder)
    corpus = _part_of(world.corpus, rows)
    kept = np.flatnonzero(~np.isnan(corpus.scores).all(axis=0))
    corpus, prices, encoded = corpus.of_models(kept), world.prices[kept], world.encoded.rows(rows)
    settings, pools = replace(FitSettings(), threads=1), find_pools(corpus, prices)
    folds = fit_out_of_fold(corpus, encoded, pools, settings, 0, None, lambda share: None)
    calibration = folds.calibrate(corpus, None)
    fitted = fit_whole(corpus, encoded, pools, table, calibration, settings, 0, None, lambda share: None)
    reference = sample_reference(corpus, folds.honest_beliefs(corpus), 0)
    prior = AbilityPrior.fit(corpus.trained_names, calibration.abilities.tolist(), prices[:, 1].tolist())
    write_bundle(folder, fitted, corpus, encoded, TrainingRecord(0, None, {}, reference, prior))
    return read_champion(folder)


def _part_of(corpus: Corpus, rows: Ints) -> Corpus:
    taken: dict[str, Any] = {}
    for field in fields(Corpus):
        value = getattr(corpus, field.name)
        if field.name not in ("trained_names", "hashes"):
            taken[field.name] = value[rows] if isinstance(value, np.ndarray) else tuple(value[row] for row in rows)
    return replace(corpus, **taken)


def draw_evidence(setting: Setting, world: World, inputs: Float32s, n: int, has_text: bool, seed: int) -> Evidence:
    """Return `n` judged requests: the champion's beliefs draw a lane for each, and its answer has a grade."""
    random = np.random.default_rng(seed)
    start = untouched(setting)
    believed = beliefs_of(start, inputs).quality
    place = {name: column for column, name in enumerate(setting.models.names)}
    row_of = {int(row): (pool, number) for pool in setting.pools for number, row in enumerate(pool.rows)}
    prompts = np.concatenate([random.permutation(setting.logged) for _ in range(-(-n // len(setting.logged)))])[:n]
    model, reward, propensity = np.empty(n, np.intp), np.empty(n), np.empty(n)
    for request, row in enumerate(prompts.tolist()):
        pool, number = row_of[row]
        columns = [place[name] for name in pool.trained_names]
        worth = 10 ** random.uniform(1.5, 3.5)
        gain = (believed[row, columns] - worth * pool.cost[number]) / _TEMPERATURE
        chance = np.exp(gain - gain.max())
        chance = (1 - _EXPLORED) * chance / chance.sum() + _EXPLORED / len(columns)
        drawn = int(random.choice(len(columns), p=chance))
        model[request], reward[request], propensity[request] = columns[drawn], pool.score[number, drawn], chance[drawn]
    logits = run_heads(setting.champion.parts, inputs, prompts).mean(axis=1)[:, : setting.champion.parts.n_models]
    if not has_text:  # a log without text only has the beliefs about its own lanes
        for request, row in enumerate(prompts.tolist()):
            logged = [place[name] for name in row_of[row][0].trained_names]
            logits[request, np.setdiff1d(np.arange(logits.shape[1]), logged)] = np.nan
    return Evidence(
        split=np.where(np.arange(n) < (1 - _CALIBRATE_SHARE) * n, TRAIN, CALIBRATE).astype(np.intp),
        request=np.arange(n),
        account=np.full(n, "default"),
        router_version=np.full(n, "base"),
        conversation=np.arange(n, dtype=np.uint64),
        asked_at=np.zeros(n, np.int64),
        lane=model,
        model=model,
        believed=np.full(n, np.nan),
        reward=reward,
        reward_std=np.zeros(n),
        propensity=propensity,
        logits=logits.astype(np.float16),
        text_row=np.arange(n) if has_text else np.full(n, -1),
        inputs=inputs[prompts].astype(np.float16) if has_text else np.empty((0, inputs.shape[1]), np.float16),
        length_split=np.empty(0, np.intp),
        length_model=np.empty(0, np.intp),
        length_is_logged=np.empty(0, np.bool_),
        believed_tokens=np.empty(0),
        answer_tokens=np.empty(0),
        n_unusable=0,
        test_conversations=np.empty(0, np.uint64),
        test_since=0,
        n_requests=n,
        first_at=0,
        last_at=0,
    )


def untouched(setting: Setting) -> GraphParts:
    """Return the champion before learning; new models have the prior of their price and family."""
    space = LogitSpace.of(logit(setting.champion.reference.quality))
    nothing = Judged(np.empty((0, len(space.centre))), np.empty(0, np.intp), np.empty(0), np.empty(0))
    return fold_logit_map(setting.champion.parts, fit_logit_map(nothing, space, setting.models.noted_abilities))


def measure(setting: Setting, parts: GraphParts, inputs: Float32s) -> Floats:
    """Return the `MEASURES` on the held-out prompts, mean over the pools."""
    beliefs = beliefs_of(parts, inputs)
    place = {name: column for column, name in enumerate(setting.models.names)}
    rows = []
    for pool in setting.pools:
        held = pool.take(np.flatnonzero(np.isin(pool.rows, setting.held_out)))
        cells = np.ix_(held.rows, np.array([place[name] for name in held.trained_names]))
        measures = measure_router(
            held, beliefs.quality[cells].astype(np.float64), beliefs.completion_tokens[cells].astype(np.float64)
        )
        rows.append([getattr(measures, name) for name in MEASURES])
    return np.asarray(np.mean(rows, axis=0), np.float64)


def learn_from(setting: Setting, world: World, inputs: Float32s, n: int, has_text: bool, seed: int) -> GraphParts:
    """Return the champion after retraining on `n` judged requests."""
    evidence = draw_evidence(setting, world, inputs, n, has_text, seed)
    settings = RetrainSettings(seed=seed)
    with TemporaryDirectory() as folder:
        work, given = WorkFolder(Path(folder)), (setting.champion, evidence, setting.models, None, settings)
        outcome = learn(*given, work, _nothing)
        return learn_from_all(*given, outcome, work, _nothing).parts


def _nothing(share: float) -> None:
    """Show nothing."""


def main() -> None:
    """Print one table for each champion."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--split", type=int, default=1, help="seed of the split; the recipe was chosen with seed 0")
    parser.add_argument("--folder", type=Path, help="folder to keep the champions in; by default a temporary one")
    options = parser.parse_args()
    table = read_champion(bundle_folder("")).parts.table
    world = read_world(options.corpus, table)
    with TemporaryDirectory() as scratch:
        for setting in make_settings(world, table, options.folder or Path(scratch), options.split):
            inputs = setting.champion.parts.scaler.transform(world.encoded)
            print(
                f"\n{setting.name}: {len(setting.models.champion_models)} known models, "
                f"{len(setting.models.new)} new ones, {len(setting.held_out):,} held-out prompts"
            )
            print(
                "| judged requests | text | gap closed | AUC | Brier | calibration error |\n|---|---|---|---|---|---|"
            )
            print(
                "| 0 (champion) | | "
                + " | ".join(f"{value:.3f}" for value in measure(setting, untouched(setting), inputs))
                + " |",
                flush=True,
            )
            for n in SIZES:
                for has_text in (False, True):
                    results = [
                        measure(setting, learn_from(setting, world, inputs, n, has_text, seed), inputs)
                        for seed in range(options.seeds)
                    ]
                    cells = [
                        f"{mean:.3f} ± {std:.3f}"
                        for mean, std in zip(np.mean(results, axis=0), np.std(results, axis=0, ddof=1), strict=True)
                    ]
                    print(f"| {n:,} | {'kept' if has_text else 'not kept'} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
