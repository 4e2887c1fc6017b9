"""The desk for bundles: where a running gateway changes which bundle decides and which ones are tried."""

from collections.abc import Callable
from typing import TypeVar

from router.errors import RouterError
from serve.bundles.bundle_keeper import BundleKeeper
from serve.errors import ConflictError

_Done = TypeVar("_Done")


class BundleDesk:
    """Changes which bundle stands where, and makes this process use it at once.

    Args:
        keeper: Keeper of the bundles.
        use_now: Function that makes this process apply a change that was stored.
    """

    def __init__(self, keeper: BundleKeeper, use_now: Callable[[], None]) -> None:
        self._keeper = keeper
        self._use_now = use_now

    def change(self, work: Callable[[BundleKeeper], _Done]) -> _Done:
        """Run `work` with the keeper, use what it changed, and return its result.

        Raises:
            ConflictError: The bundle is refused, or the change does not fit to what stands where.
            RequestError: The keeper refuses the change.
        """
        try:
            done = work(self._keeper)
        except RouterError as error:
            raise ConflictError(str(error)) from None
        self._use_now()
        return done
