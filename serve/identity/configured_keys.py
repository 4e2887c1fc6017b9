"""Virtual keys as the settings have them."""

from serve.identity.virtual_keys import DEFAULT_ACCOUNT, VirtualKeyHolder
from serve.settings import Settings


def configured_keys(settings: Settings) -> list[tuple[VirtualKeyHolder, str]]:
    """Return (holder, key) of every virtual key; those of `LLMDEAL_KEYS` are named env-1, env-2 and so on."""
    entries = {entry.name: entry for entry in settings.virtual_keys}
    holders = []
    for name, key in settings.named_virtual_keys():
        entry = entries.get(name)
        if entry is None:
            holders.append((VirtualKeyHolder(name, DEFAULT_ACCOUNT), key))
        else:
            scopes = frozenset(entry.scopes)
            holders.append(
                (
                    VirtualKeyHolder(
                        name,
                        DEFAULT_ACCOUNT,
                        entry.lanes,
                        entry.tags,
                        scopes,
                        entry.requests_per_minute,
                        entry.tokens_per_minute,
                    ),
                    key,
                )
            )
    return holders
