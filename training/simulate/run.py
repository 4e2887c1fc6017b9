"""The simulation as a whole: a first bundle, a fortnight for each arm, and what came of it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from training.base_bundle import read_base_bundle
from training.encoding import encode_prompts
from training.errors import SettingsError
from training.settings import FitSettings
from training.simulate.arms import Arm, EpsilonGreedy, Float32s, Neighbours, Oracle
from training.simulate.bundle_arm import BundleArm, Learner
from training.simulate.export_writer import TelemetryFolder
from training.simulate.refit_learner import RefitLearner
from training.simulate.result import SimulationResult
from training.simulate.scenario import Scenario
from training.simulate.simulation import requests_a_day, run_arm
from training.simulate.start_bundle import fit_start_bundle, write_start_corpus
from training.simulate.through_gateway import GatewayRun, GatewayWorld
from training.simulate.world import World
from training.train import PRICES_FILE, Progress

FIGURES_FILE, PLOT_FILE, LOGS_FOLDER = "figures.json", "learning-curve.png", "logs"
_EPSILON = 0.1
_QUICK_FOLDS = 2
MakeLearner = Callable[[Path, Path, Path], Learner]
"""(logs, start corpus, folder for bundles) -> learner."""


def simulate(
    corpus: Path,
    table_of: Path,
    out: Path,
    scenario: Scenario,
    progress: Progress,
    settings: FitSettings | None = None,
    make_learner: "MakeLearner | None" = None,
) -> SimulationResult:
    """Let every arm live through the scenario, and write figures, plot, exports and bundles below `out`.

    Args:
        corpus: Folder with prompts.parquet, responses.parquet and prices.csv.
        table_of: A bundle whose text table is used, and nothing else of it.
        out: A new or empty folder.
        scenario: What happens.
        progress: Where to show how far it is.
        settings: Of the fits; None: those of that bundle, with fewer folds.
        make_learner: None: the champion is fitted further on the judged answers.

    Raises:
        TrainingError: Corpus or scenario cannot be used, or `out` holds something.
    """
    world, start, learner = _prepare(corpus, table_of, out, scenario, progress, settings, make_learner)
    logs = out / LOGS_FOLDER
    learning = BundleArm("llmdeal, retrained nightly", world, start, explores=True, learner=learner)
    arms: list[tuple[Arm, TelemetryFolder | None]] = [
        (learning, TelemetryFolder(logs)),
        (BundleArm("the first bundle, fixed", world, start, explores=False), None),
        (Neighbours(world, _embeddings(world, table_of), _EPSILON), None),
        (EpsilonGreedy(world, _EPSILON), None),
        (Oracle(world), None),
    ]
    runs = []
    for arm, telemetry in arms:
        with progress.stage(arm.name, scenario.n_days) as advance:
            runs.append(run_arm(world, arm, telemetry, lambda advance=advance: advance(1)))  # type: ignore[misc]  # bound early on purpose
    n_held_out = len(world.split.held_out)
    result = SimulationResult(scenario, requests_a_day(world), n_held_out, runs, learning.n_explored, learning.explored_usd)
    result.write(out / FIGURES_FILE)
    result.plot(out / PLOT_FILE)
    return result


def simulate_through_gateway(
    corpus: Path,
    table_of: Path,
    out: Path,
    scenario: Scenario,
    progress: Progress,
    settings: FitSettings | None = None,
    make_learner: "MakeLearner | None" = None,
) -> GatewayRun:
    """Send the scenario's traffic through the real gateway, which learns every night; arguments and errors are those of `simulate`."""
    world, start, learner = _prepare(corpus, table_of, out, scenario, progress, settings, make_learner)
    with progress.stage("Through the gateway", scenario.n_days) as advance:
        return GatewayWorld(world, out / "gateway", out / LOGS_FOLDER).run(start, learner, lambda: advance(1))


def _prepare(
    corpus: Path,
    table_of: Path,
    out: Path,
    scenario: Scenario,
    progress: Progress,
    settings: FitSettings | None,
    make_learner: "MakeLearner | None",
) -> tuple[World, Path, Learner]:
    """Return the world, the first bundle and the learner."""
    if out.exists() and any(out.iterdir()):
        raise SettingsError(f"--out {out}: is not empty: name a new folder")
    world = World.read(corpus, scenario)
    settings = settings or replace(read_base_bundle(table_of).settings, n_folds=_QUICK_FOLDS)
    start_corpus = write_start_corpus(world, corpus / PRICES_FILE, out / "start-corpus")
    bundles = out / "bundles"
    start = fit_start_bundle(start_corpus, table_of, bundles / "start", scenario.seed, progress, settings)
    if make_learner is not None:
        return world, start, make_learner(out / LOGS_FOLDER, start_corpus, bundles)
    return world, start, RefitLearner(out / LOGS_FOLDER, start_corpus, bundles, scenario.seed, progress, settings)


def _embeddings(world: World, table_of: Path) -> Float32s:
    """Return the text embedding of every prompt of the traffic and of those held out, by its row of the corpus."""
    table = read_base_bundle(table_of).table
    rows = list(world.contexts)
    encoded = encode_prompts([world.contexts[row] for row in rows], table).embeddings
    found = np.zeros((len(world.corpus.prompts), encoded.shape[1]), np.float32)
    found[rows] = encoded
    return found
