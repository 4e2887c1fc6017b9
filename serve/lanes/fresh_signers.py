"""Keeps the credentials of all lanes fresh while the gateway runs: of those it began with, and of those whose keys were stored since."""

import asyncio
from collections.abc import Sequence

from serve.lanes.directories import LaneDirectories
from serve.upstream.signing.signer import Signer, keep_fresh

_LOOK_S = 0.5


class FreshSigners:
    """Fetches credentials in the background for whichever lanes there are.

    Args:
        directories: The lanes of every account, for answers and for vectors.
    """

    def __init__(self, directories: Sequence[LaneDirectories]) -> None:
        self._directories = directories
        self._tasks: dict[Signer, asyncio.Task[None]] = {}

    def known(self) -> list[Signer]:
        """Return the signers of the lanes that there are now."""
        found = (
            connection.signer
            for directories in self._directories
            for directory in list(directories.by_account().values())
            for connection in directory.connections
        )
        return list(dict.fromkeys(signer for signer in found if signer is not None))

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
        known = self.known()
        for signer in [signer for signer in self._tasks if signer not in known]:
            self._tasks.pop(signer).cancel()
        for signer in known:
            if signer not in self._tasks:
                self._tasks[signer] = asyncio.create_task(keep_fresh(signer))
