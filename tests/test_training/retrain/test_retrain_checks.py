"""Default checks on every answer and few thumbs: what a retraining learns, and what it leaves as it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from checkout import SHIPPED_BUNDLE
from fakes.logged_world import NAMES, UNDERRATED, write_logs

from router.recent_shifts import RECENT_SHIFTS_FILE, RecentShifts
from training.errors import TelemetryError
from training.retrain.champion import read_champion
from training.retrain.job import RetrainPlan, RetrainResult, retrain

pytestmark = [pytest.mark.slow]


class Silent:
    """Shows nothing."""

    @contextmanager
    def stage(self, title: str, total: float | None) -> Iterator[Callable[[float], None]]:
        yield lambda amount: None


@pytest.fixture(scope="module")
def confirmed(tmp_path_factory: pytest.TempPathFactory) -> RetrainResult:
    folder = tmp_path_factory.mktemp("confirmed")
    logs = write_logs(
        folder / "export", 20_000, text_share=0.0, feedback=0.05, is_as_believed=True, has_checks=True, seed=1
    )
    return retrain(RetrainPlan(logs, SHIPPED_BUNDLE, folder / "bundles"), Silent())


def spread(bundle: Path) -> float:
    """Return the standard deviation of P(good) over the reference prompts and the models of the logs."""
    champion = read_champion(bundle)
    columns = [champion.trained_names.index(name) for name in NAMES[:3]]
    return float(champion.reference.quality[:, columns].std())


def test_a_right_champion_keeps_its_spread(confirmed: RetrainResult) -> None:
    assert spread(confirmed.bundle) >= 0.95 * spread(SHIPPED_BUNDLE)


def test_checks_that_found_nothing_start_no_lane_away_from_its_prediction(confirmed: RetrainResult) -> None:
    correction = RecentShifts.read(confirmed.bundle / RECENT_SHIFTS_FILE).correction
    shifts = [correction.shift_of(f"acme/{name}", name) for name in NAMES[:3]]
    assert all(abs(shift) < 2 * std for shift, std in shifts)


def test_a_lane_that_fails_lately_starts_lower_by_its_thumbs_and_not_by_its_checks(tmp_path: Path) -> None:
    logs = write_logs(
        tmp_path / "export",
        6_000,
        text_share=0.0,
        feedback=0.3,
        is_as_believed=True,
        has_checks=True,
        fails_lately=UNDERRATED,
    )
    result = retrain(RetrainPlan(logs, SHIPPED_BUNDLE, tmp_path / "bundles"), Silent())
    correction = RecentShifts.read(result.bundle / RECENT_SHIFTS_FILE).correction
    assert correction.shift_of(f"acme/{UNDERRATED}", UNDERRATED)[0] < -0.8
    others = [correction.shift_of(f"acme/{name}", name)[0] for name in NAMES[:3] if name != UNDERRATED]
    assert min(others) > -0.5


def test_checks_alone_are_nothing_to_learn_from(tmp_path: Path) -> None:
    logs = write_logs(tmp_path / "export", 2_000, text_share=0.0, feedback=0.0, has_checks=True)
    with pytest.raises(TelemetryError, match="0 judged requests"):
        retrain(RetrainPlan(logs, SHIPPED_BUNDLE, tmp_path / "bundles"), Silent())


def test_thumbs_on_answers_that_were_stopped_are_learned_from(tmp_path: Path) -> None:
    whole, stopped = (
        write_logs(tmp_path / name, 4_000, text_share=0.0, feedback=0.5, has_checks=True, stopped=share)
        for name, share in (("whole", 0.0), ("stopped", 0.9))
    )
    learned = [
        retrain(RetrainPlan(logs, SHIPPED_BUNDLE, tmp_path / f"bundles-{logs.name}"), Silent())
        for logs in (whole, stopped)
    ]
    beliefs = [read_champion(result.bundle).reference.quality.mean(axis=0) for result in learned]
    assert np.abs(beliefs[0] - beliefs[1]).max() < 0.05


def test_the_row_of_a_catalogue_model_moves_with_its_judgements_and_once(tmp_path: Path) -> None:
    champion = read_champion(SHIPPED_BUNDLE)
    assert champion.bundle.catalogue is not None
    name = "openai/gpt-5-mini"
    place = champion.bundle.catalogue.find(name)
    assert place is not None
    # The logs say that P(good) was believed to be 0.4 of each of its answers. The truth is 0.95 and 0.05 in turns.
    logs = write_logs(tmp_path / "export", 3_000, text_share=0.0, has_checks=True, new_model=name)
    result = retrain(RetrainPlan(logs, SHIPPED_BUNDLE, tmp_path / "bundles"), Silent())
    learned = read_champion(result.bundle)
    assert learned.bundle.catalogue is not None
    moved = learned.bundle.catalogue.quality - champion.bundle.catalogue.quality
    constant = champion.bundle.demand_names.index("one")
    assert moved[place, constant] == pytest.approx(0.4, abs=0.15)
    moved[place, constant] = 0
    assert not moved.any()
    # 300 tokens were expected of each answer, and 250 came.
    before, after = champion.bundle.catalogue, learned.bundle.catalogue
    for longer in (after.visible - before.visible, after.reasoning - before.reasoning):
        assert longer[place, constant] == pytest.approx(np.log(250 / 300), abs=0.02)

    again = retrain(RetrainPlan(logs, result.bundle, tmp_path / "bundles"), Silent())  # no answer of its own in the log
    kept = read_champion(again.bundle)
    assert kept.bundle.catalogue is not None
    assert (kept.bundle.catalogue.quality == learned.bundle.catalogue.quality).all()
    assert (kept.bundle.catalogue.visible == learned.bundle.catalogue.visible).all()
