"""Follows the stored keys and accounts while the gateway runs: accepted virtual keys, and each account's lanes."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from serve.errors import ConfigurationError
from serve.hot_swap.identity_stores import IdentityStores
from serve.hot_swap.snapshot import Recipe, Snapshot, read_snapshot
from serve.identity.content_consent import ContentConsent
from serve.identity.virtual_keys import DEFAULT_ACCOUNT, KeyRing
from serve.lanes.assembler import LaneAssembler, LaneAssembly
from serve.lanes.directories import LaneDirectories
from serve.provider_keys.accounts import OpenedProviderKey
from serve.routing.chosen_policy import ChosenPolicy

FOLLOW_S = 1.0
_NOTE_USE_EVERY = 60
_log = logging.getLogger("llmdeal.identity")


@dataclass(frozen=True, slots=True)
class FirstLanes:
    """The lanes that the gateway begins with: the operator's. `IdentityFollower.begin` adds those of other accounts.

    Args:
        snapshot: Stored keys and accounts that the lanes come from.
        operators: The operator's lanes, with notices for the operator.
        answers: Every account's lanes for answers.
        vectors: Every account's lanes for embeddings.
    """

    snapshot: Snapshot
    operators: LaneAssembly
    answers: LaneDirectories
    vectors: LaneDirectories


def first_lanes(stores: IdentityStores, assembler: LaneAssembler) -> FirstLanes:
    """Read what is stored and assemble the operator's lanes. Blocks.

    Raises:
        ConfigurationError: Keys are stored but there is no master key, or the operator's lanes cannot be assembled.
    """
    snapshot = read_snapshot(stores)
    operators = assembler.of_operator(snapshot.recipes[DEFAULT_ACCOUNT][1])
    return FirstLanes(snapshot, operators, LaneDirectories(operators.directory), LaneDirectories(operators.embeddings))


class IdentityFollower:
    """Uses every change of the stored keys and accounts within a second.

    Args:
        stores: Stored accounts, people and keys.
        key_ring: Virtual keys that the gateway accepts.
        assembler: Assembler of lanes.
        consent: Limit of what is logged of each account's requests.
        lanes: Lanes that the gateway begins with.
        use_policy: Function that makes the operator's policy decide; None: the policy of the settings.
    """

    def __init__(
        self,
        stores: IdentityStores,
        key_ring: KeyRing,
        assembler: LaneAssembler,
        consent: ContentConsent,
        lanes: FirstLanes,
        use_policy: Callable[[ChosenPolicy | None], None],
    ) -> None:
        self.lanes_lock = asyncio.Lock()
        """Held while lanes are changed, so that no lanes are put in place that were assembled for another bundle."""
        self._stores = stores
        self._key_ring = key_ring
        self._assembler = assembler
        self._consent = consent
        self._first = lanes.snapshot
        self._answers, self._vectors = lanes.answers, lanes.vectors
        self._use_policy = use_policy
        self._version = -1
        self._recipes: dict[str, Recipe] = {DEFAULT_ACCOUNT: lanes.snapshot.recipes[DEFAULT_ACCOUNT]}

    @property
    def operators_keys(self) -> tuple[OpenedProviderKey, ...]:
        """The stored provider keys of the operator that are in use."""
        return self._recipes[DEFAULT_ACCOUNT][1]

    def begin(self) -> None:
        """Use the snapshot that the first lanes come from, before the first request. Blocks."""
        self.apply(self._first, self.assemble(self._first))
        for notice in self._first.notices:
            _log.warning("%s", notice)

    def assemble(self, snapshot: Snapshot, *, is_whole: bool = False) -> dict[str, LaneAssembly]:
        """Assemble the lanes of accounts whose keys changed. Blocks, for some dozens of milliseconds an account.

        Args:
            snapshot: Stored keys and accounts.
            is_whole: Whether to assemble the lanes of all accounts.
        """
        assembled = {}
        for account, recipe in snapshot.recipes.items():
            if not is_whole and self._recipes.get(account) == recipe:
                continue
            hosted_lanes, keys = recipe
            try:
                if account == DEFAULT_ACCOUNT:
                    assembly = self._assembler.of_operator(keys)
                else:
                    assembly = self._assembler.of_account(keys, hosted_lanes, (self._answers, self._vectors))
            except ConfigurationError as error:
                _log.error("the lanes of account %s stay as they are: %s", account, error)
                continue
            for notice in assembly.notices:
                _log.info("account %s: %s", account, notice)
            assembled[account] = assembly
        return assembled

    def apply(self, snapshot: Snapshot, assembled: Mapping[str, LaneAssembly]) -> None:
        """Use a snapshot and its lanes from now on; runs on the thread of the event loop."""
        self._key_ring.set_stored(snapshot.accepted, snapshot.pepper, was_any_issued=snapshot.was_any_issued)
        self._consent.follow(snapshot.content)
        self._use_policy(snapshot.policy)
        for account, assembly in assembled.items():
            self._answers.replace(account, assembly.directory)
            self._vectors.replace(account, assembly.embeddings)
            self._recipes[account] = snapshot.recipes[account]
        for account in [account for account in self._recipes if account not in snapshot.recipes]:
            self._answers.remove(account)
            self._vectors.remove(account)
            del self._recipes[account]
        self._version = snapshot.version

    async def refresh(self) -> None:
        """Read the stores again if they have changed, and use what they hold now."""
        if await asyncio.to_thread(self._stores.audit.version) == self._version:
            return
        async with self.lanes_lock:
            snapshot = await asyncio.to_thread(read_snapshot, self._stores)
            self.apply(snapshot, await asyncio.to_thread(self.assemble, snapshot))

    async def reassemble(self) -> None:
        """Assemble the lanes of all accounts again, and use them; the caller holds `lanes_lock`."""
        snapshot = await asyncio.to_thread(read_snapshot, self._stores)
        self.apply(snapshot, await asyncio.to_thread(lambda: self.assemble(snapshot, is_whole=True)))

    async def follow(self) -> None:
        """Refresh every second, and store every minute which keys were used, until cancelled."""
        n_rounds = 0
        while True:
            await asyncio.sleep(FOLLOW_S)
            n_rounds += 1
            try:
                await self.refresh()
                if n_rounds % _NOTE_USE_EVERY == 0:
                    await self.note_use()
            except DBAPIError as error:
                _log.error("the database of keys and accounts is away: %s", type(error.orig).__name__)
            except ConfigurationError as error:
                _log.error("keys and accounts stay as they are: %s", error)

    async def note_use(self) -> None:
        """Store which of the stored keys were used since the last call."""
        used = _stored_names(self._key_ring)
        if used:
            await asyncio.to_thread(self._stores.virtual_keys.note_used, used)


def _stored_names(key_ring: KeyRing) -> Sequence[tuple[str, str]]:
    return [
        (holder.account, holder.virtual_key_id.removeprefix(f"{holder.account}/")) for holder in key_ring.take_used()
    ]
