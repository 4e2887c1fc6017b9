"""Loads the bundles that a history names, and remembers which of them are refused."""

import logging
from collections.abc import Callable
from pathlib import Path

from router.errors import BundleError, RouterError
from serve.bundles.fingerprint import fingerprint
from serve.bundles.generation import Generation, load_generation
from serve.bundles.staging import Stage, Staging, Standing
from serve.bundles.store import BundleStore
from serve.errors import NotFoundError, ServeError
from serve.hot_swap.live_bundle import LiveBundle, RefusedBundle

_log = logging.getLogger("llmdeal.bundles")


class BundleLoader:
    """Loads bundles, each one that is refused once for as long as its folder stays as it is. Blocks.

    Args:
        store: Where they are.
        on_refused: Told whenever one is refused.
    """

    def __init__(self, store: BundleStore, on_refused: Callable[[Stage], None] = lambda stage: None) -> None:
        self.store = store
        self.refused: dict[Stage, RefusedBundle] = {}
        self._on_refused = on_refused

    def first_champion(self, staging: Staging) -> LiveBundle:
        """Return the champion to start with: the newest that can be used of those that were promoted, else the configured one.

        Raises:
            BundleError: None can, and neither can the configured one.
        """
        for standing in reversed(staging.promoted):
            try:
                return LiveBundle(standing, self.load(standing))
            except (RouterError, ServeError) as error:
                if "champion" not in self.refused:  # what is wanted is the newest
                    self.refuse("champion", standing, error)
                else:
                    _log.error("%s cannot be the champion instead: %s", standing.bundle, error)
        configured = LiveBundle(None, load_generation(self.store.configured))
        if staging.promoted:
            _log.error("the configured bundle %s decides until then", configured.generation.version)
        return configured

    def load(self, standing: Standing | None) -> Generation:
        """Load a bundle; None: the configured one.

        Raises:
            RouterError: It is refused.
            NotFoundError: There is none of this name.
        """
        if standing is None:
            return load_generation(self.store.configured)
        folder = self.store.folder_of(standing.bundle)
        generation = load_generation(folder)
        if generation.version != standing.version:
            raise BundleError(
                f"{folder}: holds {generation.version}, and {standing.version} is what was chosen: put that back, or promote this one"
            )
        generation.warm_up()
        return generation

    def refuse(self, stage: Stage, standing: Standing | None, error: Exception) -> None:
        """Note that a bundle cannot be used, and say so, once."""
        self.refused[stage] = RefusedBundle(standing, str(error), fingerprint(self._folder(standing)))
        self._on_refused(stage)
        name = self.store.configured.name if standing is None else standing.bundle
        _log.error("the bundle %s is refused as %s, and whatever decided before goes on: %s", name, stage, error)

    def is_refused(self, stage: Stage, standing: Standing | None) -> bool:
        """Return whether a bundle was refused, and its folder holds what it held then."""
        known = self.refused.get(stage)
        return known is not None and known.standing == standing and known.seen == fingerprint(self._folder(standing))

    def accept(self, stage: Stage) -> None:
        """Forget what was refused: what is wanted is at work."""
        self.refused.pop(stage, None)

    def notices(self) -> list[str]:
        """Return what the operator should know of what is refused."""
        return [
            f"The bundle that was chosen as {stage} is refused: {refused.problem}"
            for stage, refused in self.refused.items()
        ]

    def _folder(self, standing: Standing | None) -> Path:
        if standing is None:
            return self.store.configured
        try:
            return self.store.folder_of(standing.bundle)
        except NotFoundError:
            return self.store.folder / standing.bundle
