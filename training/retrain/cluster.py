"""A retraining over the workers of a Dask cluster: parts of the log are read and encoded there, and the gate's trees are fitted there.

Workers open the exports' files themselves: their folder lies where all of them see it, under one path. What they send back are the arrays that
checkpoints hold.
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
from training.retrain.job import part_name
from training.retrain.settings import RetrainSettings
from training.retrain.work_folder import WorkFolder
from training.telemetry.reader import LogReader

_PARTS_PER_WORKER = 2
"""On their way at once: one at work, one waiting. Bounds the memory here and there."""


class DaskMachinery:
    """Does the heavy work on a cluster's workers.

    Args:
        client: Connected.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def gather(
        self, reader: LogReader, view: ChampionView, rows_per_part: int, work: WorkFolder, progress: Progress
    ) -> None:
        """Make the checkpoint of every part of the log that is not there yet."""
        missing = [start for start in range(0, len(reader), rows_per_part) if not work.has(part_name(start))]
        shared = self._client.scatter(view, broadcast=True)  # type: ignore[no-untyped-call]  # dask's is untyped, as below

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
        """Return trees that are fitted over the workers."""
        return TreeLearner(TreeSettings(seed=settings.seed), self._client)

    def _n_workers(self) -> int:
        return max(len(self._client.scheduler_info()["workers"]), 1)


@contextmanager
def connect(address: str, timeout_s: float = 10) -> Iterator[DaskMachinery]:
    """Connect to a scheduler for as long as the block lasts.

    Args:
        address: `tcp://host:port`.
        timeout_s: How long to wait for an answer, seconds.

    Raises:
        SettingsError: There is no scheduler, or it has no workers.
    """
    try:
        client = Client(address, timeout=timeout_s)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as problem:
        raise SettingsError(
            f"--scheduler {address}: no Dask scheduler answers there ({type(problem).__name__}): start one"
        ) from None
    with client:
        if not client.scheduler_info()["workers"]:
            raise SettingsError(f"--scheduler {address}: has no workers: start some with 'dask worker {address}'")
        yield DaskMachinery(client)


def _gather_part(part: LogReader, view: ChampionView) -> Arrays:
    return gather_evidence(part.read(0, len(part)), view)
