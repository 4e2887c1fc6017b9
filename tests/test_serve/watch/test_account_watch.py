"""Corrections of single accounts as a gateway reads them: for which bundle, after a change, and from damaged files."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from router.account_correction import (
    ACCOUNT_CORRECTIONS_FILE,
    AccountCorrection,
    AccountCorrections,
    PromptSpace,
    hashed,
)
from router.expectation import LaneState
from serve.app import create_app
from serve.gateway import resources_of
from serve.lanes.directory import LaneDirectory
from serve.settings import Settings
from serve.watch.account_watch import AccountWatch


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> LaneDirectory:
    folder = tmp_path_factory.mktemp("gateway")
    settings = Settings.model_validate({"database": str(folder / "llmdeal.db"), "sandbox": "on"})
    resources = resources_of(create_app(settings, {"HOME": str(folder)}))
    resources.engine.dispose()
    return resources.directory


def corrections(directory: LaneDirectory, offset: float, **changes: object) -> AccountCorrections:
    rng = np.random.default_rng(0)
    n_trained = len(directory.quality_model.trained_names)
    space = PromptSpace.of_beliefs(rng.uniform(0.1, 0.9, (300, n_trained)).astype(np.float32))
    version = directory.router_version
    own = AccountCorrection(np.array([offset, 0.0, 0.0, 0.0, 0.0]), {}, 400)
    corrections = AccountCorrections(version, space, {hashed("acme", version): own})
    return replace(corrections, **changes)  # type: ignore[arg-type]


def test_a_file_that_changed_is_read_again(tmp_path: Path, directory: LaneDirectory) -> None:
    watch = AccountWatch(tmp_path / "corrections", list)
    assert not watch.look()
    (tmp_path / "corrections").mkdir()
    path = tmp_path / "corrections" / f"{directory.router_version}.npz"
    for offset in (-0.5, -0.25):
        path.unlink(missing_ok=True)
        path.write_bytes(corrections(directory, offset).to_bytes())
        assert watch.look()
        assert not watch.look()
        [coefficients] = watch.coefficients_of("acme", directory).values()
        assert coefficients.coefficients[:, 0].tolist() == [offset] * len(directory.table)
        assert watch.coefficients_of("other", directory) == {}
    path.unlink()
    assert watch.look()
    assert watch.coefficients_of("acme", directory) == {}


def test_a_file_of_its_own_wins_over_what_a_bundle_carries(tmp_path: Path, directory: LaneDirectory) -> None:
    bundle, folder = tmp_path / "bundle", tmp_path / "corrections"
    bundle.mkdir()
    (bundle / ACCOUNT_CORRECTIONS_FILE).write_bytes(corrections(directory, -1.0).to_bytes())
    watch = AccountWatch(folder, lambda: [bundle])
    watch.look()
    version = directory.router_version
    assert watch.coefficients_of("acme", directory)[version].coefficients[0, 0] == -1.0
    folder.mkdir()
    (folder / "newer.npz").write_bytes(corrections(directory, -0.1).to_bytes())
    watch.look()
    assert watch.coefficients_of("acme", directory)[version].coefficients[0, 0] == -0.1


def test_a_damaged_file_is_told_of_once_and_leaves_accounts_as_the_bundle_says(
    tmp_path: Path, directory: LaneDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 broken")
    watch = AccountWatch(tmp_path, list)
    with caplog.at_level(logging.ERROR, "llmdeal.watch"):
        watch.look()
        watch.look()
    assert len(caplog.records) == 1
    assert watch.coefficients_of("acme", directory) == {}


def test_a_correction_of_other_models_is_not_applied(tmp_path: Path, directory: LaneDirectory) -> None:
    rng = np.random.default_rng(0)
    space = PromptSpace.of_beliefs(rng.uniform(0.1, 0.9, (50, 7)).astype(np.float32))
    (tmp_path / "other.npz").write_bytes(corrections(directory, -1.0, space=space).to_bytes())
    watch = AccountWatch(tmp_path, list)
    watch.look()
    assert watch.coefficients_of("acme", directory) == {}


def test_a_lane_that_shifts_for_everybody_and_for_the_account_shifts_by_both(
    tmp_path: Path, directory: LaneDirectory
) -> None:
    (tmp_path / "own.npz").write_bytes(corrections(directory, -0.5).to_bytes())
    watch = AccountWatch(tmp_path, list)
    watch.look()
    n_lanes, n_trained = len(directory.table), len(directory.quality_model.trained_names)
    learned = replace(
        directory,
        quality_shifts={directory.router_version: np.full(n_lanes, 0.25)},
        account_coefficients=watch.coefficients_of("acme", directory),
    )
    state = learned.with_shifts(LaneState.unmeasured(directory.table), np.full(n_trained, 0.5, np.float32))
    assert state.quality_shift is not None
    assert state.account_shift is not None
    assert (state.quality_shift[0], state.account_shift[0]) == (0.25, -0.5)
