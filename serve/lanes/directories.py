"""The lanes of every account."""

from collections.abc import Mapping

from serve.errors import UnfitRequestError
from serve.identity.virtual_keys import DEFAULT_ACCOUNT
from serve.lanes.directory import LaneDirectory


class LaneDirectories:
    """Finds an account's lanes. They are replaced account by account; a request keeps the lanes that it began with.

    Args:
        operators: Lanes of the account that runs the gateway.
    """

    def __init__(self, operators: LaneDirectory) -> None:
        self._by_account = {DEFAULT_ACCOUNT: operators}

    @property
    def operators(self) -> LaneDirectory:
        """The lanes of the account that runs the gateway."""
        return self._by_account[DEFAULT_ACCOUNT]

    def by_account(self) -> Mapping[str, LaneDirectory]:
        """Return the lanes of every account, by its name."""
        return self._by_account

    def of(self, account: str) -> LaneDirectory:
        """Return the lanes of an account.

        Raises:
            UnfitRequestError: It has none.
        """
        directory = self._by_account.get(account)
        if directory is None or not len(directory.table):
            raise UnfitRequestError(f"the account {account!r} has no lane: store a provider key for it", code="no_lane")
        return directory

    def replace(self, account: str, directory: LaneDirectory) -> None:
        """Use these lanes from now on. What is known of lanes that were there before is taken over."""
        former = self._by_account.get(account)
        if former is not None:
            directory.adopt(former)
        self._by_account[account] = directory

    def swap(self, directories: Mapping[str, LaneDirectory]) -> None:
        """Use all accounts' lanes as another bundle arranges them.

        They share their health with the former ones. Where the order of the lanes changed, it is taken over.
        """
        for account, directory in directories.items():
            former = self._by_account.get(account)
            if former is not None and former.connections is not directory.connections:
                directory.adopt(former)
        self._by_account = dict(directories)

    def remove(self, account: str) -> None:
        """Forget an account."""
        del self._by_account[account]
