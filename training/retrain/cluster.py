"""Runs a retraining on the workers of a Dask cluster: they read and encode parts of the log, and fit the gate's trees.

The workers open the exports' files themselves. So all workers need to see the folder, under the same path. They send
back the arrays that checkpoints hold.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from distributed import Client, as_completed

from training.errors import SettingsError
from training.off_policy.reward_model import RewardLearner
from training.off_policy.trees import TreeLearner, TreeSettings
from training.progress import Progress
from training.retrain.evidence import Arrays, ChampionView, gather_evidence
from training.retrain.machinery import part_name
from training.retrain.settings import RetrainSettings
from training.retrain.work_folder import WorkFolder
from training.telemetry.reader import LogReader

_PARTS_PER_WORKER = 2
"""Number of parts that a worker has at once: one in progress, one waiting. It bounds the memory of all processes."""


class DaskMachinery:
    """Does the heavy work on the workers of a cluster.

    Args:
        client: Connected client of the cluster.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def gather(
        self, reader: LogReader, view: ChampionView, rows_per_part: int, work: WorkFolder, progress: Progress
    ) -> None:
        """Write the missing checkpoints of the parts of the log."""
        missing = [start for start in range(0, len(reader), rows_per_part) if not work.has(part_name(start))]
        shared = self._client.scatter(view, broadcast=True)  # type: ignore[no-untyped-call]  # dask is untyped

        def submitted() -> Iterator[object]:
            for start in missing:
                part = reader.part(start, start + rows_per_part)
                yield self._client.submit(
                    _gather_part, part, shared, key=f"{work.folder.name}-{part_name(start)}", retries=1
                )

        with progress.stage(f"Reading and encoding on {self._n_workers()} workers", len(missing)) as advance:
            waiting = submitted()
            under_way = as_completed(  # type: ignore[no-untyped-call]
                islice(waiting, _PARTS_PER_WORKER * self._n_workers())
            )
            for future in under_way:
                work.put(str(future.key).removeprefix(f"{work.folder.name}-"), future.result())
                future.release()
                for following in islice(waiting, 1):
                    under_way.add(following)  # type: ignore[no-untyped-call]
                advance(1)

    def learner(self, settings: RetrainSettings) -> RewardLearner | None:
        """Return a learner of trees that the workers fit."""
        return TreeLearner(TreeSettings(seed=settings.seed), self._client)

    def _n_workers(self) -> int:
        return max(len(self._client.scheduler_info()["workers"]), 1)


@contextmanager
def connect(address: str, timeout_s: float = 10) -> Iterator[DaskMachinery]:
    """Connect to a scheduler for as long as the block lasts.

    Args:
        address: Address of the scheduler, `tcp://host:port`.
        timeout_s: Longest time to wait for an answer, seconds.

    Raises:
        SettingsError: There is no scheduler, or it has no workers.
    """
    try:
        client = Client(address, timeout=timeout_s)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as problem:
        raise SettingsError(
            f"--scheduler {address}: no Dask scheduler answers there ({type(problem).__name__}): start one first"
        ) from None
    with client:
        if not client.scheduler_info()["workers"]:
            raise SettingsError(
                f"--scheduler {address}: the scheduler has no workers: start some with 'dask worker {address}'"
            )
        yield DaskMachinery(client)


def _gather_part(part: LogReader, view: ChampionView) -> Arrays:
    return gather_evidence(part.read(0, len(part)), view)
