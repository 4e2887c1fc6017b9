"""An account's own correction: what it does to its lanes, and how it is kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from any_lane import LANE
from checkout import SHIPPED_BUNDLE

from router.account_correction import (
    ACCOUNT_CORRECTIONS_FILE,
    MAX_SHIFT,
    AccountCorrection,
    AccountCorrections,
    LaneCoefficients,
    PromptSpace,
    hashed,
)
from router.bundle import load_bundle
from router.errors import BundleError
from router.lane_table import LaneTable

VERSION = "base+12345678"


def space(n_models: int = 6, seed: int = 0) -> PromptSpace:
    rng = np.random.default_rng(seed)
    ease = rng.normal(size=(400, 1))
    logits = ease * rng.uniform(0.5, 1.5, n_models) + 0.2 * rng.normal(size=(400, n_models))
    return PromptSpace.of_beliefs((1 / (1 + np.exp(-logits))).astype(np.float32))


def corrections() -> AccountCorrections:
    shared, own = np.array([-0.5, 0.1, 0.0, 0.0, 0.0]), {"known": np.array([1.0, 0.0, 0.2, 0.0, 0.0])}
    return AccountCorrections(VERSION, space(), {hashed("acme", VERSION): AccountCorrection(shared, own, 321)})


def test_components_have_mean_zero_and_variance_one_over_the_reference() -> None:
    reference = load_bundle(SHIPPED_BUNDLE).read_reference()
    design = PromptSpace.of(reference).design(reference.quality)
    assert design[:, 0] == pytest.approx(1.0)
    assert design[:, 1:].mean(axis=0) == pytest.approx(0.0, abs=0.05)
    assert design[:, 1:].std(axis=0) == pytest.approx(1.0, abs=0.1)
    assert (design[:, 1] > 0).sum() > 0  # easy prompts lie on the positive side of the first
    ease = reference.quality.mean(axis=1)
    assert np.corrcoef(design[:, 1], ease)[0, 1] > 0.8


def test_a_lane_takes_what_is_its_own_by_id_or_trained_name_and_all_take_what_is_shared() -> None:
    correction = corrections().of("acme")
    assert correction is not None
    lanes = [LANE, replace(LANE, lane_id="a/known", trained_name="known"), replace(LANE, lane_id="known")]
    coefficients = correction.of_lanes(LaneTable.build(lanes, ()))
    assert coefficients[:, 0].tolist() == [-0.5, 0.5, 0.5]
    assert coefficients[:, 2].tolist() == [0.0, 0.2, 0.2]


def test_the_shift_of_a_prompt_far_from_all_others_is_bounded() -> None:
    coefficients = LaneCoefficients(space(), np.full((2, 5), 5.0))
    assert coefficients.shift(np.full(6, 1.0, np.float32)).tolist() == pytest.approx([MAX_SHIFT, MAX_SHIFT])
    assert coefficients.shift(np.full(6, 0.5, np.float32)).shape == (2,)


def test_the_shift_is_that_of_the_prompts_components() -> None:
    rng = np.random.default_rng(4)
    lanes = LaneCoefficients(space(), rng.normal(0, 0.1, (3, 5)))
    for quality in rng.uniform(0.001, 0.999, (30, 6)).astype(np.float32):
        assert lanes.shift(quality) == pytest.approx(lanes.coefficients @ space().design(quality), abs=1e-4)


def test_many_prompts_at_once_are_shifted_as_each_one_is() -> None:
    rng = np.random.default_rng(5)
    lanes = LaneCoefficients(space(), rng.normal(0, 2, (3, 5)))
    quality = rng.uniform(0.001, 0.999, (30, 6)).astype(np.float32)
    each = np.array([lanes.shift(row) for row in quality])
    assert np.abs(each).max() == pytest.approx(MAX_SHIFT)
    assert space().shifts(quality, lanes.coefficients) == pytest.approx(each, abs=1e-4)


def test_accounts_without_a_correction_have_none_and_names_are_not_written_in_plain_words() -> None:
    stored = corrections()
    assert stored.of("other") is None
    assert b"acme" not in stored.to_bytes()


def test_what_is_written_reads_back_the_same_and_equal_corrections_give_equal_bytes(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    path.write_bytes(corrections().to_bytes())
    again = AccountCorrections.read(path)
    correction = again.of("acme")
    assert correction is not None
    assert (again.bundle_version, correction.n_answers) == (VERSION, 321)
    assert correction.own["known"].tolist() == [1.0, 0.0, 0.2, 0.0, 0.0]
    assert again.to_bytes() == corrections().to_bytes()


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04"])
def test_a_damaged_file_is_refused_with_the_mend(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "own.npz"
    path.write_bytes(content)
    with pytest.raises(BundleError, match="accounts-learn"):
        AccountCorrections.read(path)


def test_arrays_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    path.write_bytes(corrections().to_bytes())
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    for wrong in ({"own_account": np.array([7])}, {"shared": np.zeros((1, 2))}, {"format": np.array(99)}):
        np.savez(path, **(arrays | wrong))  # type: ignore[arg-type]  # the stubs mean another argument
        with pytest.raises(BundleError, match=r"own\.npz"):
            AccountCorrections.read(path)


def test_a_bundle_refuses_corrections_that_its_manifest_does_not_vouch_for(tmp_path: Path) -> None:
    for file in SHIPPED_BUNDLE.iterdir():
        (tmp_path / file.name).symlink_to(file)
    load_bundle(tmp_path)
    (tmp_path / ACCOUNT_CORRECTIONS_FILE).write_bytes(corrections().to_bytes())
    with pytest.raises(BundleError, match="has no hash"):
        load_bundle(tmp_path)
