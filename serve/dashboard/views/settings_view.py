"""The settings on a page. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr


@dataclass(frozen=True, slots=True)
class SettingLine:
    """One setting.

    Args:
        name: Name in llmdeal.toml.
        environment: Environment variable that sets it; empty: there is none.
        value: Value as text; a secret reads `set`.
        is_default: Whether it has its default value.
        purpose: Meaning of the setting.
    """

    name: str
    environment: str
    value: str
    is_default: bool
    purpose: str


def setting_lines(settings: BaseModel, variable_of: Callable[[str], str]) -> list[SettingLine]:
    """Return every setting: those that were set first, in the order of the documentation.

    Args:
        settings: Settings of the running gateway.
        variable_of: Function from the name of a setting to its environment variable; empty: it has none.
    """
    lines = []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        is_default = value == field.get_default()
        lines.append(SettingLine(name, variable_of(name), _text(value), is_default, field.description or ""))
    return sorted(lines, key=lambda line: line.is_default)


def _text(value: Any) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, SecretStr):
        return "set"
    if isinstance(value, BaseModel):
        given = ((name, getattr(value, name)) for name in sorted(value.model_fields_set))
        return ", ".join(f"{name} {_text(one)}" for name, one in given) or "as usual"
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_text(one)}" for name, one in value.items()) or "–"
    if isinstance(value, tuple):
        return "; ".join(_text(one) for one in value) or "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _without_password(str(value))


def _without_password(text: str) -> str:
    """Return an address without the part before its host, which may be a password."""
    if "://" not in text or "@" not in text:
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        return "set"
    return parts._replace(netloc="…@" + parts.netloc.rpartition("@")[2]).geturl()
