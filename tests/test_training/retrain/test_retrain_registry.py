"""What a retraining records in MLflow, and when the champion's alias moves."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from checkout import SHIPPED_BUNDLE
from fakes.logged_world import write_logs

from router.bundle import load_bundle
from training.errors import SettingsError
from training.promotion.registry import CHALLENGER, CHAMPION, BundleRegistry, default_address
from training.retrain.job import RetrainPlan, RetrainResult, retrain

# mlflow uses deprecated functions of SQLAlchemy when it starts.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


class Silent:
    @contextmanager
    def stage(self, title: str, total: float | None) -> Iterator[Callable[[float], None]]:
        yield lambda amount: None


def run(folder: Path, *, is_as_believed: bool) -> tuple[RetrainResult, BundleRegistry]:
    logs = write_logs(folder / f"logs-{is_as_believed}", 5_000, text_share=0.5, is_as_believed=is_as_believed)
    registry = BundleRegistry(default_address(folder / "bundles"))
    return retrain(RetrainPlan(logs, SHIPPED_BUNDLE, folder / "bundles"), Silent(), registry=registry), registry


def test_the_champions_alias_moves_only_to_a_better_bundle(tmp_path: Path) -> None:
    no_better, registry = run(tmp_path, is_as_believed=True)
    assert not no_better.verdict.is_better
    assert registry.version_of(CHALLENGER) == load_bundle(no_better.bundle).version
    assert registry.version_of(CHAMPION) == load_bundle(SHIPPED_BUNDLE).version

    better, registry = run(tmp_path, is_as_believed=False)

    assert better.verdict.is_better, better.verdict.reasons
    assert registry.version_of(CHALLENGER) == registry.version_of(CHAMPION) == load_bundle(better.bundle).version


def test_a_run_holds_settings_figures_and_pictures_and_no_text(tmp_path: Path) -> None:
    import mlflow

    result, _ = run(tmp_path, is_as_believed=False)
    client = mlflow.MlflowClient(default_address(tmp_path / "bundles"))
    experiment = client.get_experiment_by_name("llmdeal")
    (run_record,) = client.search_runs([experiment.experiment_id], f"tags.fingerprint = '{result.fingerprint}'")
    assert run_record.info.status == "FINISHED"
    assert run_record.data.params["seed"] == "0"
    assert run_record.data.params["continuing.epochs"] == "8"
    assert run_record.data.params["requests"] == "5000"
    assert run_record.data.metrics["is_better"] == 1.0
    assert run_record.data.metrics["challenger.log_loss"] < run_record.data.metrics["champion.log_loss"]
    artifacts = [path for path in (tmp_path / "mlflow-artifacts").rglob("*") if path.is_file()]
    assert {"calibration.png", "quality-cost.png", "verdict.json", "manifest.json", "model.onnx"} <= {
        path.name for path in artifacts
    }
    for path in (*artifacts, tmp_path / "mlflow.db"):
        assert b"irreducible over the rationals" not in path.read_bytes(), path.name


def test_an_address_that_mlflow_cannot_use_is_refused_in_one_line() -> None:
    with pytest.raises(SettingsError, match="--track") as refused:
        BundleRegistry("nonsense://nowhere")
    assert "\n" not in str(refused.value)
