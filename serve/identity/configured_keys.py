"""Virtual keys that come from the settings."""

from serve.identity.virtual_keys import DEFAULT_ACCOUNT, VirtualKeyHolder
from serve.settings import Settings


def configured_keys(settings: Settings) -> list[tuple[VirtualKeyHolder, str]]:
    """Return (holder, key) of every virtual key; the keys of `LLMDEAL_KEYS` are named env-1, env-2 and so on."""
    entries = {entry.name: entry for entry in settings.virtual_keys}
    holders = []
    for name, key in settings.named_virtual_keys():
        entry = entries.get(name)
        holder = VirtualKeyHolder(name, DEFAULT_ACCOUNT)
        if entry is not None:
            holder = VirtualKeyHolder(
                virtual_key_id=name,
                account=DEFAULT_ACCOUNT,
                lanes=entry.lanes,
                tags=entry.tags,
                scopes=frozenset(entry.scopes),
                requests_per_minute=entry.requests_per_minute,
                tokens_per_minute=entry.tokens_per_minute,
            )
        holders.append((holder, key))
    return holders
