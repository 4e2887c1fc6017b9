"""The registry of bundles in MLflow: inputs and results of each retraining, and which bundle is champion or challenger.

A run holds settings, hashes, counts and figures, the manifest, the card, the verdict and two pictures. It holds no
request, prompt, answer or feedback.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from router.bundle import load_bundle
from router.verdict import Verdict
from training.errors import SettingsError

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "llmdeal"
REGISTERED = "llmdeal-router"
CHAMPION, CHALLENGER = "champion", "challenger"
DATABASE_FILE, ARTIFACTS_FOLDER = "mlflow.db", "mlflow-artifacts"
_FINGERPRINT, _BUNDLE, _VERSION = "fingerprint", "bundle", "version"
_LONGEST_VALUE = 500


@dataclass(frozen=True, slots=True)
class RetrainRun:
    """One retraining, for the registry.

    Args:
        fingerprint: Hash of all its inputs; runs with the same hash are recorded once.
        bundle: Folder of the challenger.
        champion: Folder of the bundle that the challenger was learned from.
        verdict: Verdict of the promotion gate.
        parameters: Name -> setting, hash or count.
        figures: Name -> number.
        pictures: PNG files.
    """

    fingerprint: str
    bundle: Path
    champion: Path
    verdict: Verdict
    parameters: Mapping[str, object]
    figures: Mapping[str, float]
    pictures: tuple[Path, ...] = ()


def default_address(bundles: Path) -> str:
    """Return the tracking address of a database next to the folder of bundles."""
    return f"sqlite:///{bundles.absolute().parent / DATABASE_FILE}"


class BundleRegistry:
    """MLflow's model registry at a tracking address: `sqlite:///…/mlflow.db`, or the address of a server.

    Args:
        address: Address of the tracking server or database.

    Raises:
        SettingsError: MLflow cannot use the address.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        with self._one_line_errors():
            import mlflow

            logging.getLogger("mlflow").setLevel(logging.WARNING)  # it logs every table that it creates
            self._client: MlflowClient = mlflow.MlflowClient(address, address)
            self._experiment_id = self._find_experiment()

    def record(self, run: RetrainRun) -> bool:
        """Record a retraining and register its bundle as the challenger.

        If the verdict says that it is better, the bundle becomes the champion too.

        Returns:
            False if the retraining was recorded before.

        Raises:
            SettingsError: MLflow cannot be reached or refuses.
        """
        with self._one_line_errors():
            if self._is_recorded(run.fingerprint):
                return False
            self._register_first_champion(run.champion)
            run_id = self._log(run)
            number = self._register(run.bundle, run_id, f"runs:/{run_id}/{_BUNDLE}")
            self._client.set_registered_model_alias(REGISTERED, CHALLENGER, number)
            if run.verdict.is_better:
                self._client.set_registered_model_alias(REGISTERED, CHAMPION, number)
            self._client.set_terminated(run_id)
            self._client.set_tag(run_id, _FINGERPRINT, run.fingerprint)  # last: only a whole record counts
        return True

    def version_of(self, alias: str) -> str | None:
        """Return the version of the bundle that an alias points to; None if there is no such alias."""
        from mlflow.exceptions import MlflowException

        try:
            registered = self._client.get_model_version_by_alias(REGISTERED, alias)
        except MlflowException:
            return None
        return str(registered.tags[_VERSION])

    def _find_experiment(self) -> str:
        experiment = self._client.get_experiment_by_name(EXPERIMENT)
        if experiment is not None:
            return str(experiment.experiment_id)
        return str(self._client.create_experiment(EXPERIMENT, self._artifact_location()))

    def _artifact_location(self) -> str | None:
        """Return a folder next to the database file; None if a server chooses the place."""
        parts = urlsplit(self._address)
        if parts.scheme != "sqlite":
            return None
        return (Path(parts.path.removeprefix("/")).absolute().parent / ARTIFACTS_FOLDER).as_uri()

    def _is_recorded(self, fingerprint: str) -> bool:
        return bool(
            self._client.search_runs([self._experiment_id], f"tags.{_FINGERPRINT} = '{fingerprint}'", max_results=1)
        )

    def _log(self, run: RetrainRun) -> str:
        run_id = str(self._client.create_run(self._experiment_id, run_name=run.bundle.name).info.run_id)
        for name, value in run.parameters.items():
            self._client.log_param(run_id, name, str(value)[:_LONGEST_VALUE])
        for name, figure in run.figures.items():
            if figure == figure:
                self._client.log_metric(run_id, name, figure)
        self._client.log_artifacts(run_id, str(run.bundle), _BUNDLE)
        for picture in run.pictures:
            self._client.log_artifact(run_id, str(picture))
        return run_id

    def _register(self, bundle: Path, run_id: str | None, source: str) -> str:
        tags: dict[str, Any] = {_BUNDLE: bundle.name, _VERSION: load_bundle(bundle).version}
        return str(self._client.create_model_version(REGISTERED, source, run_id, tags).version)

    def _register_first_champion(self, folder: Path) -> None:
        """Create the registry if it does not exist, and register the bundle that was in use before it."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.get_registered_model(REGISTERED)
        except MlflowException:
            self._client.create_registered_model(REGISTERED)
        if self.version_of(CHAMPION) is None:
            run_id = str(self._client.create_run(self._experiment_id, run_name=folder.name).info.run_id)
            self._client.log_artifacts(run_id, str(folder), _BUNDLE)
            number = self._register(folder, run_id, f"runs:/{run_id}/{_BUNDLE}")
            self._client.set_registered_model_alias(REGISTERED, CHAMPION, number)
            self._client.set_terminated(run_id)

    @contextmanager
    def _one_line_errors(self) -> Iterator[None]:
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (MlflowException, SQLAlchemyError, OSError) as problem:
            message = " ".join(str(problem).split())[:200]
            raise SettingsError(
                f"--track {_without_password(self._address)}: {message}: give sqlite:///FILE or a server's address, or "
                "--track none"
            ) from None


def _without_password(address: str) -> str:
    parts = urlsplit(address)
    return address if parts.password is None else address.replace(f":{parts.password}@", ":…@")
