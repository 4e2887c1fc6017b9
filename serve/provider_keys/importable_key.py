"""What was found elsewhere, before anything is stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from serve.catalogue.provider_rows import ProviderRow


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A provider key.

    Args:
        provider: As in our catalogue.
        name: To store it under.
        secret: The key.
        where: Where it was found, for people.
        base_url: Of its endpoints, where it was another than the provider's own.
    """

    provider: str
    name: str
    secret: str = field(repr=False)
    where: str
    base_url: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """All that was found.

    Args:
        keys: To be stored.
        settings: Lines for llmdeal.toml, for what is not a key.
        notes: What was left out, and what is done otherwise here.
    """

    keys: tuple[FoundKey, ...]
    settings: str = ""
    notes: tuple[str, ...] = ()


def keys_in_environment(
    rows: Sequence[ProviderRow], environment: Mapping[str, str | None], where: str
) -> list[FoundKey]:
    """Return the provider keys among some variables: those that providers are known by, and the same with something after it.

    `OPENAI_API_KEY` becomes the key `main` of OpenAI, `OPENAI_API_KEY_WORK` its key `work`.
    """
    found: dict[tuple[str, str], FoundKey] = {}
    for row in rows:
        if row.credentials != "key":
            continue
        for variable in row.key_env:
            for name, text in sorted(environment.items()):
                if not text or not text.strip() or not (name == variable or name.startswith(variable + "_")):
                    continue
                key_name = name[len(variable) + 1 :].lower() or "main"
                found.setdefault((row.id, key_name), FoundKey(row.id, key_name, text.strip(), f"{where}: {name}"))
    return list(found.values())
