"""Renews the credentials of all lanes while the gateway runs, also of lanes whose keys were stored since it began."""

import asyncio
from collections.abc import Sequence

from serve.lanes.directories import LaneDirectories
from serve.upstream.signing.signer import Signer, keep_fresh

_LOOK_S = 0.5


class FreshSigners:
    """Fetches credentials in the background for all present lanes.

    Args:
        directories: The lanes of every account, for answers and for vectors.
    """

    def __init__(self, directories: Sequence[LaneDirectories]) -> None:
        self._directories = directories
        self._tasks: dict[Signer, asyncio.Task[None]] = {}

    def present(self) -> list[Signer]:
        """Return the signers of all present lanes, each one once."""
        signers = (
            connection.signer
            for directories in self._directories
            for directory in list(directories.by_account().values())
            for connection in directory.connections
        )
        return list(dict.fromkeys(signer for signer in signers if signer is not None))

    async def follow(self) -> None:
        """Look for new lanes twice a second, until cancelled. Credentials are fetched until `close`.

        Raises:
            Exception: The error that ended the fetching for one signer; the next call begins it again.
        """
        while True:
            self._adjust()
            for signer, task in list(self._tasks.items()):
                if task.done():
                    del self._tasks[signer]
                    task.result()
            await asyncio.sleep(_LOOK_S)

    async def close(self) -> None:
        """Stop fetching."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _adjust(self) -> None:
        present = self.present()
        for signer in [signer for signer in self._tasks if signer not in present]:
            self._tasks.pop(signer).cancel()
        for signer in present:
            if signer not in self._tasks:
                self._tasks[signer] = asyncio.create_task(keep_fresh(signer))
