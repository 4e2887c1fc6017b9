"""Loads the bundles that the history names, and remembers which of them it refused."""

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
    """Loads bundles. A refused bundle is not tried again before its folder changes. Blocks.

    Args:
        store: Bundles on disk.
        on_refused: Function that receives the stage for which a bundle was refused.
    """

    def __init__(self, store: BundleStore, on_refused: Callable[[Stage], None] = lambda stage: None) -> None:
        self.store = store
        self.refused: dict[Stage, RefusedBundle] = {}
        self._on_refused = on_refused

    def first_champion(self, staging: Staging) -> LiveBundle:
        """Return the champion to start with: the newest promoted bundle that can be used, else the configured one.

        Raises:
            BundleError: No promoted bundle can be used, and neither can the configured one.
        """
        for standing in reversed(staging.promoted):
            try:
                return LiveBundle(standing, self.load(standing))
            except (RouterError, ServeError) as error:
                if "champion" not in self.refused:  # this is the newest one, which the history wants
                    self.refuse("champion", standing, error)
                else:
                    _log.error("%s cannot be the champion instead: %s", standing.bundle, error)
        configured = LiveBundle(None, load_generation(self.store.configured))
        if staging.promoted:
            _log.error("the configured bundle %s decides until then", configured.generation.version)
        return configured

    def load(self, standing: Standing | None) -> Generation:
        """Load a bundle.

        Args:
            standing: Bundle with the version that it must have; None: the configured bundle.

        Raises:
            RouterError: The bundle cannot be used, or has another version.
            NotFoundError: No bundle has this name.
        """
        if standing is None:
            return load_generation(self.store.configured)
        folder = self.store.folder_of(standing.bundle)
        generation = load_generation(folder)
        if generation.version != standing.version:
            raise BundleError(
                f"{folder}: holds {generation.version}, and {standing.version} is what was chosen: "
                "put that back, or promote this one"
            )
        generation.warm_up()
        return generation

    def refuse(self, stage: Stage, standing: Standing | None, error: Exception) -> None:
        """Remember and log that a bundle cannot be used."""
        self.refused[stage] = RefusedBundle(standing, str(error), fingerprint(self._folder(standing)))
        self._on_refused(stage)
        name = self.store.configured.name if standing is None else standing.bundle
        _log.error("the bundle %s is refused as %s, and whatever decided before goes on: %s", name, stage, error)

    def is_refused(self, stage: Stage, standing: Standing | None) -> bool:
        """Return whether a bundle was refused and its folder has not changed since."""
        refused = self.refused.get(stage)
        if refused is None or refused.standing != standing:
            return False
        return refused.seen == fingerprint(self._folder(standing))

    def accept(self, stage: Stage) -> None:
        """Forget that a bundle was refused for this stage: the wanted one is in use."""
        self.refused.pop(stage, None)

    def notices(self) -> list[str]:
        """Return a line for the operator about each refused bundle."""
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
