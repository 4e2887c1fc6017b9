"""The port for the heavy work of a retraining, and its implementation in this process.

`cluster` implements it on the workers of a Dask cluster.
"""

from typing import Protocol

from training.off_policy.reward_model import RewardLearner
from training.progress import Progress
from training.retrain.evidence import ChampionView, gather_evidence
from training.retrain.settings import RetrainSettings
from training.retrain.work_folder import WorkFolder
from training.telemetry.reader import LogReader


class Machinery(Protocol):
    """Does the heavy work of a retraining, in this process or on other machines."""

    def gather(
        self, reader: LogReader, view: ChampionView, rows_per_part: int, work: WorkFolder, progress: Progress
    ) -> None:
        """Write the missing checkpoints of the parts of the log."""
        ...

    def learner(self, settings: RetrainSettings) -> RewardLearner | None:
        """Return the learner of the gate's reward model; None: the gate uses its own."""
        ...


class ThisProcess:
    """Does the heavy work in this process, one part of the log after the other."""

    def gather(
        self, reader: LogReader, view: ChampionView, rows_per_part: int, work: WorkFolder, progress: Progress
    ) -> None:
        """Write the missing checkpoints of the parts of the log."""
        starts = range(0, len(reader), rows_per_part)
        with progress.stage("Reading and encoding", len(starts)) as advance:
            for start in starts:
                if not work.has(part_name(start)):
                    work.put(part_name(start), gather_evidence(reader.read(start, start + rows_per_part), view))
                advance(1)

    def learner(self, settings: RetrainSettings) -> RewardLearner | None:
        """Return None: the gate uses its own learner."""
        return None


def part_name(start: int) -> str:
    """Return the name of the checkpoint of the part that begins at this request."""
    return f"part-{start:09}"
