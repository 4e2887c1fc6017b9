"""The sample export can be written again by its script, and holds what judging needs."""

from pathlib import Path

import numpy as np
import pytest
from checkout import ROOT

from bench.sample_telemetry import write_sample
from training.telemetry.reader import read_logs

SAMPLE = ROOT / "data" / "samples" / "telemetry"


def test_the_sample_is_small_and_has_what_judging_needs() -> None:
    logs = read_logs(SAMPLE)

    assert (len(logs), len(logs.lane_ids)) == (360, 6)
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 330_000  # 92 features a request
    assert 0 < logs.propensity.min() < logs.propensity.max() < 1
    assert all(logs.prompts)
    assert logs.trained_names.count(None) == 1
    assert 0.5 < np.isfinite(logs.reward).mean() < 0.8
    assert (~logs.is_answered).sum() == 9
    assert set(logs.willingness_to_pay_usd.tolist()) == {0.002, 0.01, 0.05}


@pytest.mark.slow
def test_its_script_writes_it_again(tmp_path: Path) -> None:
    write_sample(tmp_path / "again")

    kept, again = read_logs(SAMPLE), read_logs(tmp_path / "again")

    assert again.request_ids.tolist() == kept.request_ids.tolist()
    assert again.chosen.tolist() == kept.chosen.tolist()
    assert np.allclose(again.quality, kept.quality, atol=1e-3)
    assert np.array_equal(again.reward, kept.reward, equal_nan=True)
