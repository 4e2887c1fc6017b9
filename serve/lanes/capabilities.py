"""Capability names, as settings and the catalogue write them."""

from collections.abc import Iterable

from router.lane import Capability
from serve.errors import ConfigurationError


def capabilities_named(names: Iterable[str], where: str) -> Capability:
    """Return the flags that the names stand for.

    Raises:
        ConfigurationError: A name is unknown.
    """
    capabilities = Capability.NONE
    for name in names:
        try:
            capabilities |= Capability[name.upper()]
        except KeyError as error:
            known = ", ".join(str(flag.name).lower() for flag in Capability)
            raise ConfigurationError(f"{where}: unknown capability {name!r}: use some of {known}") from error
    return capabilities
