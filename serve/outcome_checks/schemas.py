"""Checks whether JSON fits a schema that a caller sent. Nothing is fetched, and patterns run in linear time."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

import msgspec

_MOST_SCHEMAS: Final = 256
_MOST_SCHEMA_BYTES: Final = 256 * 1024

IsValid = Callable[[object], bool]


class Schemas:
    """Remembers the validators of schemas in use, on one thread; building one takes fifty times as long as using it."""

    def __init__(self) -> None:
        self._validators: OrderedDict[bytes, IsValid | None] = OrderedDict()

    def fits(self, text: str, schema: Mapping[str, Any] | None) -> bool | None:
        """Return whether a text is JSON that fits a schema; None: the schema cannot be used.

        Without a schema, any JSON object fits.
        """
        try:
            value: object = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        if schema is None:
            return isinstance(value, dict)
        is_valid = self._validator(schema)
        return None if is_valid is None else is_valid(value)

    def _validator(self, schema: Mapping[str, Any]) -> IsValid | None:
        encoded = msgspec.json.encode(schema)
        if encoded in self._validators:
            self._validators.move_to_end(encoded)
            return self._validators[encoded]
        validator = _make(schema) if len(encoded) <= _MOST_SCHEMA_BYTES else None
        self._validators[encoded] = validator
        if len(self._validators) > _MOST_SCHEMAS:
            self._validators.popitem(last=False)
        return validator


def _make(schema: Mapping[str, Any]) -> IsValid | None:
    import jsonschema_rs  # takes 15 ms, and many gateways never need it

    try:
        # This engine has no look-around; a schema with such a pattern cannot be used.
        return jsonschema_rs.validator_for(
            dict(schema), retriever=_refuse, pattern_options=jsonschema_rs.RegexOptions()
        ).is_valid
    except (ValueError, TypeError):  # an invalid schema, or one that refers to another document
        return None


def _refuse(uri: str, /) -> NoReturn:
    raise ValueError(f"{uri} is not fetched")
