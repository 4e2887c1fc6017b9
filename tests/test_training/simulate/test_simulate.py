"""The world to practise in: what comes when, what is given up, and that learning pays."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkout import SHIPPED_BUNDLE
from fakes.tiny_corpus import HOPELESS, STRONG, WEAK, tiny_tables, write_corpus
from rich.console import Console

from router.context import NO_CONSTRAINTS, NO_PREFERENCES
from router.decision import decide
from router.expectation import LaneState
from router.lane_correction import Judged, LaneCorrection
from router.lane_table import LaneTable
from router.policies.best_value import BestValue
from router.quality_model import Prediction
from router.recent_shifts import RECENT_SHIFTS_FILE, RecentShifts
from training.corpus.graded_corpus import Corpus
from training.corpus.splits import group_near_duplicates
from training.errors import CorpusError, SettingsError
from training.off_policy.signals import judgement_rules
from training.progress import TerminalProgress
from training.retrain.settings import RetrainSettings
from training.settings import FitSettings
from training.simulate.arms import EpsilonGreedy, Observations, Oracle, lane_means
from training.simulate.run import (
    FIGURES_FILE,
    LOGS_FOLDER,
    PLOT_FILE,
    SimulationPlan,
    simulate,
    simulate_through_gateway,
)
from training.simulate.scenario import Arrival, Degradation, PriceChange, Scenario, read_scenario
from training.simulate.several import simulate_seeds
from training.simulate.simulation import ArmRun, run_arm
from training.simulate.start_bundle import write_start_corpus
from training.simulate.watched_lanes import WatchedLanes
from training.simulate.world import World
from training.telemetry.reader import read_logs

OLD_MODELS = (("acme-old-a", 0.9, 0.3), ("acme-old-b", 0.7, 0.2), ("acme-old-c", 0.95, 0.6))
QUICK = FitSettings(n_members=1, epochs=5, fewest_steps=60, n_folds=2, threads=1)
TWO = Scenario(
    (STRONG, WEAK), n_requests=400, n_days=4, feedback_share=0.8, feedback_delay_days=0.3, exploration_share=0.2
)


def plan(corpus: Path, out: Path, scenario: Scenario) -> SimulationPlan:
    return SimulationPlan(
        corpus, SHIPPED_BUNDLE, out, scenario, QUICK, RetrainSettings(fewest_rewards=20, fewest_of_new=10)
    )


def quiet() -> TerminalProgress:
    return TerminalProgress(Console(quiet=True))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prompts, responses = tiny_tables(400)
    random = np.random.default_rng(5)
    olds = []
    for name, good, poor in OLD_MODELS:  # which the first bundle learns from: they find the same prompts hard
        old = responses[responses["model"] == WEAK].assign(model=name)
        old["score"] = (random.random(len(old)) < np.where(prompts["task"] == "sum", good, poor)).astype(float)
        olds.append(old)
    folder = write_corpus(tmp_path_factory.mktemp("corpus"), prompts, pd.concat([responses, *olds], ignore_index=True))
    with (folder / "prices.csv").open("a") as prices:
        prices.writelines(f"{name},1,2\n" for name, *_ in OLD_MODELS)
    return folder


@pytest.fixture(scope="module")
def world(corpus: Path) -> World:
    return World.read(corpus, TWO)


def small_world(scenario: Scenario) -> World:
    """Six prompts that share no words; model `a` is good at the first three, `b` at the others; 100 and 200 tokens."""
    letters = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot"]
    prompts = tuple(" ".join(f"{letter}{part}" for part in "abcdefgh") for letter in letters)
    scores = np.array([[1, 0]] * 3 + [[0, 1]] * 3, np.float32)
    tokens = np.tile(np.array([100, 200], np.float32), (6, 1))
    texts = np.array(["s"] * 6)
    corpus = Corpus(tuple("123456"), prompts, texts, texts, ("a", "b"), scores, tokens, {}, np.zeros(6, np.bool_))
    return World(corpus, np.array([[0, 1], [0, 10]], np.float32), scenario)


SMALL = Scenario(
    ("a", "b"), n_requests=40, n_days=4, start_share=0.0, held_out_share=0.5, worth_usd=0.01, feedback_share=1.0
)


def test_utility_is_worth_times_grade_less_tokens_at_the_days_price() -> None:
    changed = replace(SMALL, price_changes=(PriceChange("b", 2, 0.5),), degradations=(Degradation("a", 3, 0.25),))
    world = small_world(changed)
    [row] = [row for row in world.contexts if world.score[row, 0] == 1][:1]
    rows = np.array([row])
    assert world.utilities(rows, 0)[0].tolist() == pytest.approx([0.01 - 100e-6, -200 * 10e-6])
    assert world.utilities(rows, 2)[0].tolist() == pytest.approx([0.01 - 100e-6, -200 * 5e-6])
    assert world.utilities(rows, 3)[0].tolist() == pytest.approx([0.0025 - 100e-6, -200 * 5e-6])


def test_regret_is_what_the_best_lane_would_have_brought_more_by_hand() -> None:
    world = small_world(SMALL)
    oracle, always_either = run_arm(world, Oracle(world)), run_arm(world, EpsilonGreedy(world, 1.0))
    assert oracle.regret_usd == pytest.approx(np.zeros_like(oracle.regret_usd))
    good_at_a, good_at_b = (0.01 - 100e-6) - (-2_000e-6), (0.01 - 2_000e-6) - (-100e-6)
    held_out = world.split.held_out
    by_hand = np.where(world.score[held_out, 0] == 1, good_at_a, good_at_b) / 2  # half of the time the wrong one
    assert always_either.regret_usd[0] == pytest.approx(by_hand)
    a_day = np.full(4, 10.0)
    assert always_either.cumulative_usd(a_day) == pytest.approx(by_hand.mean() * 10 * np.arange(1, 5))
    assert oracle.less_than(always_either, a_day, slice(0, 2))[0] == pytest.approx(by_hand.mean() * 20)
    assert always_either.cumulative_std_usd(a_day)[-1] == pytest.approx(
        40 * by_hand.std(ddof=1) / np.sqrt(len(held_out))
    )


def test_a_lane_that_comes_late_answers_nothing_before_and_an_oracle_uses_it_after(corpus: Path) -> None:
    world = World.read(
        corpus, Scenario((STRONG, WEAK, HOPELESS), n_requests=40, n_days=4, arrivals=(Arrival(STRONG, 2),))
    )
    assert [lane.trained_name for lane in world.lanes(1, None)] == [WEAK, HOPELESS]
    assert [lane.trained_name for lane in world.lanes(2, None)] == [STRONG, WEAK, HOPELESS]
    held_out = world.split.held_out
    assert Oracle(world).probabilities(held_out, 1)[:, 0].sum() == 0
    assert Oracle(world).probabilities(held_out, 2)[:, 0].sum() > len(held_out) / 4


def test_no_prompt_comes_again_before_all_others_came_and_near_duplicates_lie_in_one_part(world: World) -> None:
    traffic = world.split.traffic
    first = world.requests[: len(traffic)]
    assert sorted(first.tolist()) == sorted(traffic.tolist())
    groups = group_near_duplicates(world.corpus.prompts)
    parts = [set(groups[rows].tolist()) for rows in (world.split.start, traffic, world.split.held_out)]
    assert all(not parts[one] & parts[other] for one, other in ((0, 1), (0, 2), (1, 2)))


def test_the_same_seed_gives_the_same_figures_and_another_one_others(corpus: Path) -> None:
    def figures(seed: int) -> ArmRun:
        world = World.read(corpus, replace(TWO, seed=seed))
        return run_arm(world, EpsilonGreedy(world, 0.1))

    one, same, other = figures(1), figures(1), figures(2)
    assert (one.regret_usd == same.regret_usd).all()
    assert (one.traffic_regret_usd == same.traffic_regret_usd).all()
    assert not np.array_equal(one.traffic_regret_usd, other.traffic_regret_usd)


def test_a_mean_is_drawn_towards_one_half_until_much_was_seen() -> None:
    lanes, rewards = np.array([0, 0, 2]), np.array([1.0, 1.0, 0.0])
    score, tokens = lane_means(Observations(lanes, lanes, rewards, np.array([10.0, 30.0, 5.0])), 3)
    assert score.tolist() == pytest.approx([4.5 / 7, 0.5, 2.5 / 6])
    assert tokens[[0, 2]].tolist() == [20, 5]
    assert np.isnan(tokens[1])


def test_a_world_whose_models_are_all_lanes_has_nothing_to_begin_with(tmp_path: Path) -> None:
    world = small_world(replace(SMALL, start_share=0.3, seed=1))
    with pytest.raises(SettingsError, match="leave some models out"):
        write_start_corpus(world, tmp_path / "prices.csv", tmp_path / "out")


def test_grades_move_beliefs_between_two_nights(world: World, tmp_path: Path) -> None:
    watched, table = WatchedLanes(), LaneTable.build(world.lanes(0, None), ("another model",))
    prediction = Prediction(*(np.ones(1, np.float32),) * 3, 0.0, 100.0, np.zeros(1, np.float32))
    arguments = (table, world.contexts[int(world.requests[0])], prediction, LaneState.unmeasured(table))
    decision = decide(*arguments, BestValue(), np.random.default_rng(0), NO_CONSTRAINTS, NO_PREFERENCES)
    watched.begin(tmp_path, "a bundle")
    for number in range(20):
        watched.note(number, decision, "a bundle", float(number))
        watched.add_grade(number, 0.0)
    shifts = watched.shifts(table, "a bundle")
    assert shifts is not None
    assert shifts[decision.order[0]] < -0.3
    correction = LaneCorrection()
    correction.learn(Judged(decision.chosen.lane_id, decision.chosen.vendor_model, 0.5, 1.0, 0.0, 20.0))
    (tmp_path / RECENT_SHIFTS_FILE).write_bytes(RecentShifts("another bundle", correction).to_bytes())
    watched.begin(tmp_path, "another bundle")
    begun = watched.shifts(table, "another bundle")
    assert begun is not None
    assert begun[decision.order[0]] > 0.1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("model_names = ['a']", "two or more"),
        ("model_names = ['a', 'b']\n[[arrivals]]\nmodel_name = 'c'\nday = 1", "'c', which is not in model_names"),
        ("model_names = ['a', 'b']\ncolour = 1", "'colour' is not a field"),
        ("model_names = ['a', 'b']\nfeedback_share = 2", "feedback_share must be 0..1"),
        ("model_names = ['a', 'b']\n[[arrivals]]\nname = 'a'", "arrivals|unexpected keyword"),
        ("model_names = ", "cannot be read"),
    ],
)
def test_a_wrong_scenario_is_refused_in_one_line(text: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=complaint) as caught:
        read_scenario(path)
    assert "\n" not in str(caught.value)


def test_a_scenario_is_read_with_its_events(tmp_path: Path) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text(
        "model_names = ['a', 'b']\nn_days = 3\n[[price_changes]]\nmodel_name = 'b'\nday = 1\nfactor = 0.5\n", "utf-8"
    )
    assert read_scenario(path) == Scenario(("a", "b"), n_days=3, price_changes=(PriceChange("b", 1, 0.5),))


@pytest.mark.slow
def test_learning_from_its_own_logs_beats_the_first_bundle_and_the_logs_are_a_real_export(
    corpus: Path, tmp_path: Path
) -> None:
    result = simulate(plan(corpus, tmp_path / "out", TWO), quiet())
    learning, _, fixed, *_ = result.runs
    assert learning.regret_usd[-1].mean() < 0.9 * fixed.regret_usd[-1].mean()
    assert len(set(learning.bundles)) == 4
    assert all((tmp_path / "out" / name).is_file() for name in (FIGURES_FILE, PLOT_FILE))
    logs = read_logs(tmp_path / "out" / LOGS_FOLDER)
    assert len(logs) == 400
    assert (np.diff(logs.started_at.astype(np.int64)) > 0).all()
    assert logs.probability[np.arange(400), logs.chosen] == pytest.approx(logs.propensity)
    assert 0.6 < np.isfinite(logs.reward).mean() < 0.8  # some feedback has not come yet
    assert len(np.unique(logs.router_versions)) == 4
    assert logs.trained_names == (STRONG, WEAK)
    of_first_day = read_logs(tmp_path / "out" / LOGS_FOLDER / "day-000")
    assert np.isfinite(of_first_day.reward).sum() < np.isfinite(logs.reward[:100]).sum()  # feedback comes late


@pytest.mark.slow
def test_several_seeds_are_each_what_they_are_alone(corpus: Path, tmp_path: Path) -> None:
    short = replace(TWO, n_requests=120, n_days=2, seed=5)
    several = simulate_seeds(plan(corpus, tmp_path / "both", short), 2, quiet())
    alone = simulate(plan(corpus, tmp_path / "alone", replace(short, seed=6)), quiet())
    assert sorted(several.by_seed) == [5, 6]
    for run, again in zip(several.by_seed[6].runs, alone.runs, strict=True):
        assert (run.regret_usd == again.regret_usd).all(), run.name
    totals = several.totals()
    assert len(set(totals[alone.runs[0].name].tolist())) == 2  # another seed, another world
    assert totals["oracle"] == pytest.approx([0, 0])
    figures = json.loads((tmp_path / "both" / FIGURES_FILE).read_text())
    assert figures["seeds"] == [5, 6]
    assert figures["regret_usd"][alone.runs[0].name] == pytest.approx(totals[alone.runs[0].name], abs=1e-6)
    assert (tmp_path / "both" / PLOT_FILE).read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "both" / "seed-6" / PLOT_FILE).is_file()
    shown = Console(width=200, record=True, file=io.StringIO())
    shown.print(several.table())
    assert "of 2" in shown.export_text()


@pytest.mark.slow
def test_what_stops_a_seed_is_told_as_it_would_be_alone(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"prompts\.parquet") as stopped:
        simulate_seeds(plan(tmp_path / "none", tmp_path / "out", TWO), 2, quiet())
    assert stopped.value.path == tmp_path / "none" / "prompts.parquet"


@pytest.mark.slow
def test_the_same_world_goes_through_the_real_gateway(corpus: Path, tmp_path: Path) -> None:
    scenario = replace(TWO, n_requests=160, n_days=2, feedback_share=0.9, price_changes=(PriceChange(WEAK, 1, 2.0),))
    run = simulate_through_gateway(plan(corpus, tmp_path / "out", scenario), quiet())
    logs = read_logs(
        tmp_path / "out" / LOGS_FOLDER, rules=judgement_rules()
    )  # grades alone, without the gateway's own checks
    assert len(logs) == 160
    assert logs.is_answered.all()
    assert np.isfinite(logs.reward).sum() == run.n_judged > 80
    assert logs.cost_usd.sum() == pytest.approx(run.cost_usd.sum())
    world = World.read(corpus, scenario)
    asked = np.array(
        [world.costs(world.requests[[number]], int(world.day[number]))[0, run.lane[number]] for number in range(160)]
    )
    assert run.cost_usd == pytest.approx(asked, rel=0.02, abs=1e-6)  # at each day's prices; tokens are whole numbers
    assert run.bundles[0] == "first" != run.bundles[1]
    assert (run.regret_usd >= 0).all()
