"""The whole simulation: a first bundle, the scenario for each arm, and the results."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from training.corpus.graded_corpus import PRICES_FILE
from training.errors import SettingsError
from training.network.base_bundle import read_base_bundle
from training.network.encoding import encode_prompts
from training.progress import Progress
from training.retrain.settings import RetrainSettings
from training.settings import FitSettings
from training.simulate.arms import Arm, EpsilonGreedy, Float32s, Neighbours, Oracle
from training.simulate.bundle_arm import BundleArm
from training.simulate.export_writer import TelemetryFolder
from training.simulate.result import FIXED_ARM, SimulationResult
from training.simulate.retrain_learner import RetrainLearner
from training.simulate.scenario import Scenario
from training.simulate.simulation import requests_a_day, run_arm
from training.simulate.start_bundle import fit_start_bundle, write_start_corpus
from training.simulate.through_gateway import GatewayRun, GatewayWorld
from training.simulate.world import World

FIGURES_FILE, PLOT_FILE, LOGS_FOLDER = "figures.json", "learning-curve.png", "logs"
LEARNING_ARM = "llmdeal: explores, watches, retrains nightly"
_EPSILON = 0.1
_QUICK_FOLDS = 2


@dataclass(frozen=True, slots=True)
class SimulationPlan:
    """The inputs of a simulation.

    Args:
        corpus: Folder with prompts.parquet, responses.parquet and prices.csv.
        table_of: Bundle to take the embedding table from; nothing else of it is used.
        out: New or empty folder for the results.
        scenario: Scenario to simulate.
        fit: Settings of the first bundle's fit; None: those of `table_of`, with fewer folds.
        retrain: Settings of the nightly retraining; None: those of `llmdeal retrain`, with the scenario's value of a
            good answer.
    """

    corpus: Path
    table_of: Path
    out: Path
    scenario: Scenario
    fit: FitSettings | None = None
    retrain: RetrainSettings | None = None


@dataclass(frozen=True, slots=True)
class _Prepared:
    world: World
    first_bundle: Path
    learner: RetrainLearner
    logs: Path


def simulate(plan: SimulationPlan, progress: Progress) -> SimulationResult:
    """Run every arm through the scenario, and write figures, plot, exports and bundles below `plan.out`.

    Raises:
        TrainingError: Corpus or scenario cannot be used, or `plan.out` is not empty.
        router.errors.BundleError: `plan.table_of` is unusable.
    """
    ready, scenario = _prepare(plan, progress), plan.scenario
    world, first = ready.world, ready.first_bundle
    learning = BundleArm(LEARNING_ARM, world, first, explores=True, learner=ready.learner, learns_online=True)
    arms: list[tuple[Arm, TelemetryFolder | None]] = [
        (learning, TelemetryFolder(ready.logs)),
        (BundleArm("llmdeal: explores, watches", world, first, explores=True, learns_online=True), None),
        (BundleArm(FIXED_ARM, world, first), None),
        (Neighbours(world, _embeddings(world, plan.table_of), _EPSILON), None),
        (EpsilonGreedy(world, _EPSILON), None),
        (Oracle(world), None),
    ]
    runs = []
    for arm, telemetry in arms:
        with progress.stage(arm.name, scenario.n_days) as advance:
            runs.append(run_arm(world, arm, telemetry, partial(advance, 1)))
    n_held_out = len(world.split.held_out)
    result = SimulationResult(
        scenario, requests_a_day(world), n_held_out, runs, learning.n_explored, learning.explored_usd
    )
    result.write(plan.out / FIGURES_FILE)
    result.plot(plan.out / PLOT_FILE)
    return result


def simulate_through_gateway(plan: SimulationPlan, progress: Progress) -> GatewayRun:
    """Send the scenario's traffic through the real gateway, with a new bundle every night.

    Raises:
        TrainingError: The same reasons as in `simulate`.
        router.errors.BundleError: `plan.table_of` is unusable.
    """
    ready = _prepare(plan, progress)
    with progress.stage("Through the gateway", plan.scenario.n_days) as advance:
        return GatewayWorld(ready.world, plan.out / "gateway", ready.logs).run(
            ready.first_bundle, ready.learner, lambda: advance(1)
        )


def _prepare(plan: SimulationPlan, progress: Progress) -> _Prepared:
    out, scenario = plan.out, plan.scenario
    if out.exists() and any(out.iterdir()):
        raise SettingsError(f"--out {out}: is not empty: name a new folder")
    world = World.read(plan.corpus, scenario)
    fit = plan.fit or replace(read_base_bundle(plan.table_of).settings, n_folds=_QUICK_FOLDS, threads=1)
    start_corpus = write_start_corpus(world, plan.corpus / PRICES_FILE, out / "start-corpus")
    logs, bundles = out / LOGS_FOLDER, out / "bundles"
    first = fit_start_bundle(start_corpus, plan.table_of, bundles / "first", scenario.seed, progress, fit)
    # There is only one account, so there is nothing to correct by account.
    settings = plan.retrain or RetrainSettings(
        seed=scenario.seed, value_usd=scenario.worth_usd, corrects_accounts=False
    )
    learner = RetrainLearner(
        logs,
        start_corpus,
        bundles,
        settings,
        progress,
        follows_gate=scenario.follows_gate,
        window_days=scenario.window_days,
    )
    return _Prepared(world, first, learner, logs)


def _embeddings(world: World, table_of: Path) -> Float32s:
    """Return corpus row -> text embedding, for the prompts of the traffic and those held out."""
    table = read_base_bundle(table_of).table
    rows = list(world.contexts)
    encoded = encode_prompts([world.contexts[row] for row in rows], table).embeddings
    embeddings = np.zeros((len(world.corpus.prompts), encoded.shape[1]), np.float32)
    embeddings[rows] = encoded
    return embeddings
