"""A retraining on a cluster of two processes gives the same result as in one process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from checkout import SHIPPED_BUNDLE
from fakes.logged_world import write_logs

from training.errors import SettingsError
from training.retrain.job import RetrainPlan, retrain
from training.retrain.settings import RetrainSettings

# Dask uses deprecated functions of other packages, and leaves sockets to the garbage collector.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Silent:
    @contextmanager
    def stage(self, title: str, total: float | None) -> Iterator[Callable[[float], None]]:
        yield lambda amount: None


def test_a_cluster_gives_the_same_bundle_and_nearly_the_same_verdict(tmp_path: Path) -> None:
    from distributed import LocalCluster

    from training.retrain.cluster import connect

    logs = write_logs(tmp_path / "logs", 3_000, text_share=0.5)
    settings = RetrainSettings(rows_per_part=700)
    here = retrain(RetrainPlan(logs, SHIPPED_BUNDLE, tmp_path / "here", settings=settings), Silent())
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        connect(cluster.scheduler_address) as machinery,
    ):
        there = retrain(RetrainPlan(logs, SHIPPED_BUNDLE, tmp_path / "there", settings=settings), Silent(), machinery)

    for name in ("model.onnx", "reference_answers.npz", "manifest.json"):
        assert (there.bundle / name).read_bytes() == (here.bundle / name).read_bytes(), name
    one, other = here.verdict.utility_gain_usd, there.verdict.utility_gain_usd
    assert one is not None
    assert other is not None
    # Trees that two workers fit split a little differently; the doubly robust estimate hardly changes.
    assert other.estimate == pytest.approx(one.estimate, abs=0.2 * (one.high - one.low))
    assert there.verdict.is_better == here.verdict.is_better


def test_a_scheduler_that_does_not_answer_is_named_in_one_line() -> None:
    from training.retrain import cluster

    with (
        pytest.raises(SettingsError, match="no Dask scheduler answers there") as refused,
        cluster.connect("tcp://127.0.0.1:9", 0.5),
    ):
        pass
    assert "\n" not in str(refused.value)
