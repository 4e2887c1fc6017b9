"""Follows what is stored while the gateway runs: which virtual keys are accepted, and which lanes every account has."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from serve.errors import ConfigurationError
from serve.hot_swap.identity_stores import IdentityStores
from serve.identity.content_consent import ContentConsent
from serve.identity.rows import HostedLanes
from serve.identity.virtual_keys import DEFAULT_ACCOUNT, AcceptedKey, KeyRing
from serve.lanes.assembler import LaneAssembler, LaneAssembly
from serve.lanes.directories import LaneDirectories
from serve.provider_keys.accounts import OpenedProviderKey
from serve.routing.chosen_policy import ChosenPolicy
from serve.settings import ContentLogging

FOLLOW_S = 1.0
_NOTE_USE_EVERY = 60
_log = logging.getLogger("llmdeal.identity")
_Recipe = tuple[HostedLanes, tuple[OpenedProviderKey, ...]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was stored at one moment.

    Args:
        version: Of the stores.
        accepted: Virtual keys.
        pepper: Of their digests; empty where there is none.
        was_any_issued: Whether there ever was one.
        recipes: What every enabled account's lanes are made of.
        notices: Of stored keys that cannot be used.
        content: What accounts that say so let be logged of their requests.
        policy: That the operator chose; None: the settings say.
    """

    version: int
    accepted: tuple[AcceptedKey, ...]
    pepper: bytes
    was_any_issued: bool
    recipes: Mapping[str, _Recipe]
    notices: tuple[str, ...]
    content: Mapping[str, ContentLogging]
    policy: ChosenPolicy | None


class IdentityFollower:
    """Brings stored keys to life.

    Args:
        stores: What is stored.
        key_ring: Recognises virtual keys.
        assembler: Makes lanes.
        consent: Says how much of an account's requests is logged.
    """

    def __init__(
        self, stores: IdentityStores, key_ring: KeyRing, assembler: LaneAssembler, consent: ContentConsent
    ) -> None:
        self._stores = stores
        self._consent = consent
        self._key_ring = key_ring
        self._assembler = assembler
        self.laying = asyncio.Lock()
        """Held by whoever works on the lanes, so that nobody puts lanes in place that were made for another bundle."""
        self.use_policy: Callable[[ChosenPolicy | None], None] | None = None
        """Is told of the operator's policy, whenever something changed."""
        self._version = -1
        self._recipes: dict[str, _Recipe] = {}
        self._answers: LaneDirectories | None = None
        self._vectors: LaneDirectories | None = None

    def begin(self) -> tuple[LaneAssembly, LaneDirectories, LaneDirectories]:
        """Return the operator's lanes, and all accounts' lanes, for answers and for vectors. Blocks.

        Raises:
            ConfigurationError: Keys are stored and there is no master key to open them with, or the operator's lanes cannot be made.
        """
        snapshot = self.read()
        operators = self._assembler.of_operator(snapshot.recipes[DEFAULT_ACCOUNT][1])
        self._answers, self._vectors = LaneDirectories(operators.directory), LaneDirectories(operators.embeddings)
        self._recipes[DEFAULT_ACCOUNT] = snapshot.recipes[DEFAULT_ACCOUNT]
        self.apply(snapshot, self.assemble(snapshot))
        for notice in snapshot.notices:
            _log.warning("%s", notice)
        return operators, self._answers, self._vectors

    def read(self) -> Snapshot:
        """Read what is stored. Blocks.

        Raises:
            ConfigurationError: Keys are stored and there is no master key.
        """
        stores = self._stores
        version = stores.audit.version()
        accepted = tuple(stores.virtual_keys.accepted())
        sealed = stores.provider_keys.repository.enabled()
        if (accepted or sealed) and not stores.vault.is_open:
            raise ConfigurationError(
                "keys are stored in this database, but there is no master key to open them with: give it as "
                "LLMDEAL_MASTER_KEY or master_key_file"
            )
        opened, notices = stores.provider_keys.opened()
        by_account: dict[str, list[OpenedProviderKey]] = defaultdict(list)
        for key in opened:
            by_account[key.key.account].append(key)
        recipes: dict[str, _Recipe] = {DEFAULT_ACCOUNT: ("never", tuple(by_account[DEFAULT_ACCOUNT]))}
        accounts = stores.accounts.all()
        content = {
            account.account: account.logged_content for account in accounts if account.logged_content is not None
        }
        for account in accounts:
            if account.account != DEFAULT_ACCOUNT and account.is_enabled:
                recipes[account.account] = (account.hosted_lanes, tuple(by_account[account.account]))
        was_any_issued = stores.virtual_keys.was_any_issued()
        pepper = stores.vault.pepper() if accepted else b""
        return Snapshot(
            version, accepted, pepper, was_any_issued, recipes, tuple(notices), content, stores.policy.read()
        )

    def assemble(self, snapshot: Snapshot) -> dict[str, LaneAssembly]:
        """Make the lanes of the accounts whose keys are others than before. Blocks, for some dozens of milliseconds each."""
        assert self._answers is not None
        assert self._vectors is not None
        assembled = {}
        for account, recipe in snapshot.recipes.items():
            if self._recipes.get(account) == recipe:
                continue
            hosted_lanes, keys = recipe
            try:
                if account == DEFAULT_ACCOUNT:
                    made = self._assembler.of_operator(keys)
                else:
                    made = self._assembler.of_account(keys, hosted_lanes, (self._answers, self._vectors))
            except ConfigurationError as error:
                _log.error("the lanes of account %s stay as they are: %s", account, error)
                continue
            for notice in made.notices:
                _log.info("account %s: %s", account, notice)
            assembled[account] = made
        return assembled

    def apply(self, snapshot: Snapshot, assembled: Mapping[str, LaneAssembly]) -> None:
        """Use what was read and made from now on; on the event loop's thread."""
        assert self._answers is not None
        assert self._vectors is not None
        self._key_ring.set_stored(snapshot.accepted, snapshot.pepper, was_any_issued=snapshot.was_any_issued)
        self._consent.follow(snapshot.content)
        if self.use_policy is not None:
            self.use_policy(snapshot.policy)
        for account, made in assembled.items():
            self._answers.replace(account, made.directory)
            self._vectors.replace(account, made.embeddings)
            self._recipes[account] = snapshot.recipes[account]
        for account in [known for known in self._recipes if known not in snapshot.recipes]:
            self._answers.remove(account)
            self._vectors.remove(account)
            del self._recipes[account]
        self._version = snapshot.version

    async def refresh(self) -> None:
        """See whether anything changed, and use it if so."""
        if await asyncio.to_thread(self._stores.audit.version) == self._version:
            return
        async with self.laying:
            snapshot = await asyncio.to_thread(self.read)
            self.apply(snapshot, await asyncio.to_thread(self.assemble, snapshot))

    async def follow(self) -> None:
        """Refresh every second, and note now and then which keys were used; until cancelled."""
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
        """Write down which stored keys were used since the last time."""
        used = _stored_names(self._key_ring)
        if used:
            await asyncio.to_thread(self._stores.virtual_keys.note_used, used)


def _stored_names(key_ring: KeyRing) -> Sequence[tuple[str, str]]:
    return [
        (holder.account, holder.virtual_key_id.removeprefix(f"{holder.account}/")) for holder in key_ring.take_used()
    ]
