"""A small part of the validation: the recommended combination keeps its word where it says that it does."""

import pytest

from training.off_policy.validation import SCENARIOS, markdown, validate

pytestmark = [pytest.mark.slow]


@pytest.mark.parametrize("name", ["good overlap", "conversations of 8"])
def test_doubly_robust_with_the_bootstrap_covers_as_often_as_it_says(name: str) -> None:
    report = validate(name, SCENARIOS[name], 60)
    rows = {(row.estimator, row.what): row for row in report.rows}
    for what in ("policy", "difference"):
        row = rows["dr", what]
        assert row.coverage["bootstrap"] >= 0.88  # three standard errors of 60 runs below 0.95, and a little
        assert row.coverage["bernstein"] == 1
        assert abs(row.bias) < 0.02
        assert row.rmse < rows["ips", what].rmse
    assert rows["dm", "difference"].coverage["bootstrap"] < 0.5  # its bias is no secret
    assert markdown([report]).count("\n") == 11
