"""Records a training run with MLflow, if the caller asks for it."""

from collections.abc import Mapping
from pathlib import Path

from training.errors import SettingsError

EXPERIMENT = "llmdeal"


def track_run(
    uri: str, run_name: str, parameters: Mapping[str, object], measures: Mapping[str, Mapping[str, float]], folder: Path
) -> None:
    """Log a run to the tracking server at `uri`.

    It logs the parameters, the measures (as `<measure>.<source>`), the manifest and the model card.

    Raises:
        SettingsError: MLflow cannot use `uri`.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        mlflow.set_tracking_uri(uri)
        mlflow.set_experiment(EXPERIMENT)
        with mlflow.start_run(run_name=run_name):
            mlflow.log_params(dict(parameters))
            finite = {
                f"{name}.{source}": value
                for source, row in measures.items()
                for name, value in row.items()
                if value == value
            }
            mlflow.log_metrics(finite)
            for name in ("manifest.json", "README.md"):
                mlflow.log_artifact(str(folder / name))
    except MlflowException as problem:
        raise SettingsError(
            f"--track {uri}: {' '.join(str(problem).split())[:200]}: give a folder or a server's address"
        ) from None
