"""Capability names, as settings and the catalogue write them."""

from collections.abc import Iterable

from router.lane import Capability
from serve.errors import ConfigurationError


def capabilities_named(names: Iterable[str], where: str) -> Capability:
    """Return the flags with these names.

    Raises:
        ConfigurationError: A name is unknown.
    """
    capabilities = Capability.NONE
    for name in names:
        try:
            capabilities |= Capability[name.upper()]
        except KeyError as error:
            names_in_use = ", ".join(str(flag.name).lower() for flag in Capability)
            raise ConfigurationError(f"{where}: unknown capability {name!r}: use some of {names_in_use}") from error
    return capabilities
