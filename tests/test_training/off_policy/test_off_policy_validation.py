"""A small part of the validation: the recommended combination covers as often as its level says."""

import pytest
from checkout import SHIPPED_BUNDLE

from training.errors import SettingsError
from training.off_policy.replay import read_pool
from training.off_policy.validation import SCENARIOS, markdown, validate

pytestmark = [pytest.mark.slow]


@pytest.mark.parametrize("name", ["good overlap", "conversations of 8", "real grades, mmlu_pro"])
def test_doubly_robust_with_the_bootstrap_covers_as_often_as_it_says(name: str) -> None:
    report = validate(name, SCENARIOS[name], 60)
    rows = {(row.estimator, row.what): row for row in report.rows}
    for what in ("policy", "difference"):
        row = rows["dr", what]
        assert row.coverage["bootstrap"] >= 0.88  # a little more than three standard errors of 60 runs below 0.95
        assert row.coverage["bernstein"] == 1
        assert abs(row.bias) < 0.02
        assert row.rmse < rows["ips", what].rmse
    assert rows["dm", "difference"].coverage["bootstrap"] < 0.5  # it is biased
    assert len(list(markdown([report]))) == 2 + 5


def test_a_pool_has_six_models_from_the_weakest_to_the_strongest() -> None:
    pool = read_pool(SHIPPED_BUNDLE, 1)
    means = pool.score.mean(axis=0)
    assert means.tolist() == sorted(means.tolist())
    assert pool.quality.shape == pool.score.shape == (len(pool.difficulty), 6)
    with pytest.raises(SettingsError, match="source 9"):
        read_pool(SHIPPED_BUNDLE, 9)
