"""Corrections for single accounts: fitted if the answers show a difference, near zero if not, and written out."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from checkout import SHIPPED_BUNDLE

from router.account_correction import AccountCorrections
from router.bundle import load_bundle
from training.account_correction.from_logs import fit_account_corrections
from training.account_correction.hierarchy import SPREADS, AccountAnswers, Spreads, choose_spreads, fit_account
from training.account_correction.outside import OutsideBeliefs
from training.account_correction.traffic import WAYS, replay
from training.account_correction.writing import add_to_bundle, write_corrections
from training.corpus.routing_measures import Pool
from training.errors import SettingsError
from training.off_policy.synthetic import make_traffic
from training.off_policy.traffic import Scenario
from training.telemetry.logged_requests import LoggedRequests


def answers(
    n: int, shared: float = 0.0, own: tuple[float, ...] = (0.0, 0.0, 0.0), slope: float = 0.0, seed: int = 0
) -> AccountAnswers:
    rng = np.random.default_rng(seed)
    component = rng.normal(size=n)
    lane = rng.integers(len(own), size=n)
    believed = rng.normal(0.5, 0.8, n)
    chance = 1 / (1 + np.exp(-(believed + shared + np.array(own)[lane] + slope * component)))
    design = np.stack([np.ones(n), component], axis=1)
    return AccountAnswers(
        design, lane.astype(np.intp), len(own), believed, (rng.random(n) < chance).astype(float), np.full(n, 0.1)
    )


def test_no_answers_correct_nothing() -> None:
    fit = fit_account(answers(0))
    assert np.abs(fit.shared).max() == np.abs(fit.own).max() == 0.0


def test_enough_answers_show_how_an_account_differs() -> None:
    fit = fit_account(answers(6_000, shared=-0.8, own=(0.4, 0.0, -0.4), slope=0.5))
    assert fit.shared[0] + fit.own[:, 0] == pytest.approx([-0.4, -0.8, -1.2], abs=0.15)
    assert fit.shared[1] + fit.own[:, 1] == pytest.approx(0.5, abs=0.15)


def test_the_fewer_the_answers_the_nearer_to_the_bundle_and_the_less_is_known() -> None:
    few, many = (fit_account(answers(n, shared=-1.0)) for n in (8, 800))
    assert abs(few.shared[0]) < abs(many.shared[0])
    assert few.own_std.min() > many.own_std.max()


def test_a_fit_never_runs_away_whatever_the_answers() -> None:
    for seed in range(20):
        judged = answers(40, seed=seed)
        extreme = replace(judged, believed=np.where(judged.reward > 0, -6.0, 6.0))
        fit = fit_account(extreme, Spreads(1.5, 1.0, 1.5, 1.0))
        assert np.abs(np.append(fit.shared, fit.own.ravel())).max() < 8


@pytest.mark.slow
def test_accounts_that_differ_much_between_lanes_widen_the_spread_of_lanes() -> None:
    alike = [answers(400, shared=-1.0, seed=seed) for seed in range(3)]
    apart = [answers(400, own=(1.5, 0.0, -1.5), seed=seed) for seed in range(3)]
    assert choose_spreads(alike).own_offset < SPREADS.own_offset < choose_spreads(apart).own_offset


@pytest.fixture(scope="module")
def logs() -> LoggedRequests:
    """Two accounts. The answers of the first one are worse than the bundle believes. Some requests kept no text."""
    drawn = make_traffic(Scenario(n_requests=400, exploration=0.6), 0).logs
    trained = load_bundle(SHIPPED_BUNDLE).trained_names
    prompts = np.array([f"What is {row} times {row + 1}?" if row % 4 else None for row in range(400)], np.object_)
    accounts = np.array(["acme" if row % 8 else "small" for row in range(400)])
    return replace(
        drawn,
        trained_names=(trained[3], None, trained[7], "acme/unknown"),
        prompts=prompts,
        accounts=accounts,
        reward=np.where(np.arange(400) % 10 < 8, 0.0, 1.0),
        reward_std=np.full(400, 0.3),
    )


@pytest.mark.slow
def test_an_account_with_enough_judged_text_gets_its_correction_and_others_get_none(logs: LoggedRequests) -> None:
    bundle = load_bundle(SHIPPED_BUNDLE)
    corrections = fit_account_corrections(logs, bundle, fewest_answers=50)
    correction = corrections.of("acme")
    assert correction is not None
    assert correction.shared[0] < -0.3
    assert set(correction.own) <= {bundle.trained_names[3], bundle.trained_names[7]}
    usable = [
        row for row in range(400) if row % 4 and row % 8 and logs.trained_names[logs.chosen[row]] in correction.own
    ]
    assert correction.n_answers == len(usable)
    assert corrections.of("small") is None
    assert fit_account_corrections(logs, bundle, fewest_answers=10_000).by_account == {}


@pytest.mark.slow
def test_corrections_are_written_to_where_a_gateway_reads_them(tmp_path: Path, logs: LoggedRequests) -> None:
    corrections = fit_account_corrections(logs, load_bundle(SHIPPED_BUNDLE), fewest_answers=50)
    path = write_corrections(tmp_path / "corrections", corrections)
    assert path.name == f"{corrections.bundle_version}.npz"
    assert AccountCorrections.read(path).to_bytes() == corrections.to_bytes()
    copy = tmp_path / SHIPPED_BUNDLE.name
    shutil.copytree(SHIPPED_BUNDLE, copy)
    inside = add_to_bundle(copy, corrections)
    assert load_bundle(copy).version == corrections.bundle_version
    assert AccountCorrections.read(inside).of("acme") is not None
    with pytest.raises(SettingsError, match="fit them again"):
        add_to_bundle(copy, replace(corrections, bundle_version="another+00000000"))


def outside(seed: int = 0) -> OutsideBeliefs:
    """A pool about which the bundle is wrong: it believes that the expensive model is best, but the cheap one is."""
    rng = np.random.default_rng(seed)
    n = 400
    ease = rng.normal(size=n)
    truth = np.stack([0.85 + 0 * ease, 0.3 + 0.1 * (ease > 0)], axis=1)
    score = (rng.random((n, 2)) < truth).astype(float)
    cost = np.tile([1e-4, 5e-3], (n, 1))
    pool = Pool("made", ("cheap", "expensive"), np.arange(n), np.arange(2), score, cost, cost * 0, np.zeros(2), False)
    quality = np.tile([0.3, 0.9], (n, 1))
    return OutsideBeliefs(pool, quality, np.ones((n, 2)), np.stack([np.ones(n), ease], axis=1), 0)


def test_judged_answers_turn_a_wrong_belief_around() -> None:
    points = {(point.way, point.n_requests): point for point in replay(outside(), 0, (0, 2_000, 8_000))}
    assert {way for way, _ in points} == set(WAYS)
    assert points["own", 0] == replace(points["bundle", 0], way="own")
    end, bundle = points["own", 8_000], points["bundle", 8_000]
    assert end.utility_usd > bundle.utility_usd + 1e-3
    assert end.log_loss < bundle.log_loss - 0.2
