"""Provider keys that were read from a file of another program, before anything is stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from serve.catalogue.provider_rows import ProviderRow


@dataclass(frozen=True, slots=True)
class ImportableKey:
    """One provider key.

    Args:
        provider: Id of the provider in the catalogue.
        name: Name under which it will be stored.
        secret: The key itself.
        origin: File and line or variable that it was read from, for people.
        base_url: Address of its endpoints; None: the provider's own.
    """

    provider: str
    name: str
    secret: str = field(repr=False)
    origin: str
    base_url: str | None = None


@dataclass(frozen=True, slots=True)
class Importable:
    """Everything that a file offers.

    Args:
        keys: Provider keys to be stored.
        settings: Lines for llmdeal.toml, for everything that is not a key; empty: none.
        notes: Remarks on what was left out and on what works differently here.
    """

    keys: tuple[ImportableKey, ...]
    settings: str = ""
    notes: tuple[str, ...] = ()


def keys_in_environment(
    rows: Sequence[ProviderRow], environment: Mapping[str, str | None], origin: str
) -> list[ImportableKey]:
    """Return the provider keys among some variables.

    The usual variable of a provider and the same name with something after it both count: `OPENAI_API_KEY` becomes the
    key `main` of OpenAI, `OPENAI_API_KEY_WORK` its key `work`.
    """
    keys: dict[tuple[str, str], ImportableKey] = {}
    for row in rows:
        if row.credentials != "key":
            continue
        for variable in row.key_env:
            for name, text in sorted(environment.items()):
                if not text or not text.strip() or not (name == variable or name.startswith(variable + "_")):
                    continue
                key_name = name[len(variable) + 1 :].lower() or "main"
                key = ImportableKey(row.id, key_name, text.strip(), f"{origin}: {name}")
                keys.setdefault((row.id, key_name), key)
    return list(keys.values())
