"""Makes lanes for models that no list has, when a caller names one together with its provider.

It happens only at providers for which the operator says what unlisted models are assumed to cost. A budget must hold
the cost of a request before it is sent, and without a price it cannot.
"""

import asyncio
from collections.abc import Collection, Sequence

from router.effort import split_effort
from serve.errors import UnknownModelError
from serve.identity.virtual_keys import DEFAULT_ACCOUNT
from serve.lanes.assembler import LaneAssembler
from serve.lanes.directories import LaneDirectories
from serve.lanes.directory import LaneConnection, LaneDirectory
from serve.lanes.of_providers import UNLISTED_SOURCE
from serve.routing.request import SMART_ROUTE, split_suffix, unknown_model

_MOST_LANES = 100
"""Lanes that callers can make in one account; each takes some dozens of kilobytes."""
_LONGEST_ID = 128
_UNPRICED = (
    "The provider may have it, but its price is not known, so no budget could hold its cost. List it with its price "
    "under [[providers.{provider}.models]], or set unlisted_input_usd_per_mtok and unlisted_output_usd_per_mtok under "
    "[providers.{provider}]."
)
_UNPRICED_ELSEWHERE = (
    "The provider may have it, but its price is not known. Ask the operator of this gateway to list it."
)
_UNSERVED = "List it under the server's [[servers.models]], if the server has it."
_FULL = f"The account has {_MOST_LANES} unlisted models already. List those that you need under [[providers.…]]."


class UnlistedLanes:
    """Adds lanes to an account at the first request for each.

    Args:
        directories: Lanes of every account; the account's directory is replaced.
        assembler: Assembler of lanes.
        lanes_lock: Lock that is held while lanes are changed.
        server_ids: Ids of the operator's own servers.
    """

    def __init__(
        self,
        directories: LaneDirectories,
        assembler: LaneAssembler,
        lanes_lock: asyncio.Lock,
        server_ids: Collection[str] = (),
    ) -> None:
        self._directories = directories
        self._assembler = assembler
        self._lanes_lock = lanes_lock
        self._server_ids = frozenset(server_ids)

    async def directory_for(self, account: str, names: Sequence[str]) -> LaneDirectory:
        """Return the lanes of an account with a lane for each of these names.

        Args:
            account: Name of the account.
            names: Values of `model` and `models` of one request.

        Raises:
            UnknownModelError: A name is no lane, and none may be made for it. The message says why, and what to do.
        """
        async with self._lanes_lock:
            directory = self._directories.of(account)
            connections: list[LaneConnection] = []
            for place, name in enumerate(names):
                stem = split_suffix(name, directory.table)[0] if place == 0 else name
                if stem != SMART_ROUTE and not directory.table.find(stem):
                    connections += self._make(directory, stem, account, "model" if place == 0 else "models")
            fresh = {connection.lane.lane_id: connection for connection in connections}
            if not fresh:
                return directory
            extended = await asyncio.to_thread(
                self._assembler.extended, directory, list(fresh.values()), self._directories
            )
            self._directories.replace(account, extended)
            return extended

    def _make(self, directory: LaneDirectory, name: str, account: str, param: str) -> list[LaneConnection]:
        def refused(remark: str = "") -> UnknownModelError:
            return unknown_model(name, directory.table, param, remark)

        stem, effort = split_effort(name)
        if effort is not None and directory.table.find(stem):  # the model is there, and no bundle knows it so
            raise refused()
        host, separator, model_id = _parts(name)
        templates = _first_of_each_account(directory, host, separator)
        if not templates or not model_id.isascii() or not model_id.isprintable() or len(model_id) > _LONGEST_ID:
            raise refused()
        siblings = [template.sibling for template in templates if template.sibling is not None]
        if not siblings:
            provider = templates[0].lane.provider
            if provider in self._server_ids:
                raise refused(_UNSERVED)
            if provider == "sandbox":
                raise refused()
            raise refused(_UNPRICED.format(provider=provider) if account == DEFAULT_ACCOUNT else _UNPRICED_ELSEWHERE)
        n_unlisted = sum(
            lane.effort is None and lane.price.source.startswith(UNLISTED_SOURCE) for lane in directory.table.lanes
        )
        if n_unlisted + len(siblings) > _MOST_LANES:
            raise refused(_FULL)
        return [sibling(model_id) for sibling in siblings]


def _parts(name: str) -> tuple[str, str, str]:
    """Return the host, the separator and the model id of `provider:id` or `account/id`."""
    places = [(name.find(separator), separator) for separator in ":/" if separator in name]
    place, separator = min(places, default=(len(name), ""))
    return name[:place], separator, name[place + 1 :].strip()


def _first_of_each_account(directory: LaneDirectory, host: str, separator: str) -> list[LaneConnection]:
    first: dict[str, LaneConnection] = {}
    for connection in directory.connections:
        lane = connection.lane
        account = lane.lane_id.partition("/")[0]
        if connection.hosted_at is None and host == (lane.provider if separator == ":" else account):
            first.setdefault(account, connection)
    return list(first.values())
