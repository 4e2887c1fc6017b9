"""The part of JSON schema that one implementation of structured output accepts.

What it does not accept moves into the description, where the model still reads it. The SDKs of the vendors do the
same (`transform_schema` of the package anthropic 2.12.0, read 2026-12-01).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

Schema = Mapping[str, Any]
_CHOICES = ("anyOf", "oneOf", "allOf")
_BY_NAME = ("properties", "$defs", "definitions", "patternProperties")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE = ("items", "additionalProperties", "not", "if", "then", "else")


@dataclass(frozen=True, slots=True)
class SchemaSubset:
    """What one implementation accepts.

    Args:
        keywords: Keywords that it accepts. Empty: all of them.
        formats: Values of `format` that it accepts. Empty: all of them.
        most_min_items: Largest `minItems` that it accepts. None: any.
        closes_objects: Whether every object needs `additionalProperties: false`.
        needs_every_key: Whether a strict schema must require every key of every object.
    """

    keywords: frozenset[str] = frozenset()
    formats: frozenset[str] = frozenset()
    most_min_items: int | None = None
    closes_objects: bool = False
    needs_every_key: bool = False


def fit_schema(schema: Schema, subset: SchemaSubset) -> Schema:
    """Return a schema of the subset that describes the same answers, as far as the subset can."""
    if not subset.keywords:
        return schema
    if "$ref" in schema:
        kept = {name: _of_children(name, schema[name], subset) for name in _BY_NAME[1:3] if name in schema}
        return {**kept, "$ref": schema["$ref"]}
    fitted: dict[str, Any] = {}
    moved: dict[str, Any] = {}
    for name, value in _spelt(schema, subset).items():
        if name == "additionalProperties" and subset.closes_objects:
            continue
        if _is_accepted(name, value, subset):
            fitted[name] = _of_children(name, value, subset)
        elif not name.startswith("$"):
            moved[name] = value
    if subset.closes_objects and (fitted.get("type") == "object" or "properties" in fitted):
        fitted["additionalProperties"] = False
    if moved:
        words = [fitted["description"]] if fitted.get("description") else []
        listed = ", ".join(f"{name}: {msgspec.json.encode(value).decode()}" for name, value in moved.items())
        fitted["description"] = "\n\n".join([*words, f"{{{listed}}}"])
    return fitted


def object_schema(parameters: Schema) -> Schema:
    """Return the schema of a tool's arguments as an object without choices at its top, which most providers demand.

    The choices of a top-level `anyOf`, `oneOf` or `allOf` are joined: all of their properties, and none required that
    only some of them require.
    """
    if parameters.get("type") == "object" and parameters.keys().isdisjoint(_CHOICES):
        return parameters
    joined = {name: value for name, value in parameters.items() if name not in _CHOICES}
    joined["type"] = "object"
    properties = dict(parameters.get("properties") or {})
    for name in _CHOICES:
        for choice in parameters.get(name) or ():
            if isinstance(choice, Mapping) and isinstance(choice.get("properties"), Mapping):
                properties |= {key: value for key, value in choice["properties"].items() if key not in properties}
    for choice in parameters.get("allOf") or ():
        if isinstance(choice, Mapping):
            joined["required"] = [*(joined.get("required") or ()), *(choice.get("required") or ())]
    return {**joined, "properties": properties}


def is_strict(schema: object) -> bool:
    """Return whether OpenAI accepts a schema as a strict one: closed objects, every key required, no conditions.

    Source: developers.openai.com, "Structured Outputs", supported schemas, read 2026-12-01.
    """
    if not isinstance(schema, Mapping):
        return True
    properties = schema.get("properties")
    if isinstance(properties, Mapping) or schema.get("type") == "object":
        keys = properties.keys() if isinstance(properties, Mapping) else ()
        if schema.get("additionalProperties") is not False or set(keys) - set(schema.get("required") or ()):
            return False
    if not schema.keys().isdisjoint(_NEVER_STRICT):
        return False
    children = [child for name in _BY_NAME for child in (schema.get(name) or {}).values()]
    children += [child for name in _LISTS for child in schema.get(name) or ()]
    return all(is_strict(child) for child in [*children, schema.get("items")])


_NEVER_STRICT = frozenset({"allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas"})


def _spelt(schema: Schema, subset: SchemaSubset) -> Schema:
    """Return the schema with `oneOf` as `anyOf` and `const` as `enum`, where only the latter is accepted."""
    spelt = dict(schema)
    if "oneOf" in spelt and "oneOf" not in subset.keywords and "anyOf" not in spelt:
        spelt["anyOf"] = spelt.pop("oneOf")
    if "const" in spelt and "const" not in subset.keywords and "enum" not in spelt:
        spelt["enum"] = [spelt.pop("const")]
    return spelt


def _is_accepted(name: str, value: object, subset: SchemaSubset) -> bool:
    if name == "format" and subset.formats:
        return value in subset.formats
    if name == "minItems" and subset.most_min_items is not None:
        return isinstance(value, int) and value <= subset.most_min_items
    return name in subset.keywords


def _of_children(name: str, value: Any, subset: SchemaSubset) -> Any:
    if name in _BY_NAME and isinstance(value, Mapping):
        return {key: _child(child, subset) for key, child in value.items()}
    if name in _LISTS and isinstance(value, list):
        return [_child(child, subset) for child in value]
    return _child(value, subset) if name in _SINGLE else value


def _child(value: Any, subset: SchemaSubset) -> Any:
    return fit_schema(value, subset) if isinstance(value, Mapping) else value
