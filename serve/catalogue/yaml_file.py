"""Reading one YAML file into checked rows; errors name the file, the line and the field."""

from functools import reduce
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from serve.errors import ConfigurationError, failed_check

Row = TypeVar("Row", bound=BaseModel)

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C loader is eight times as quick, if it is built


class CatalogueRow(BaseModel):
    """Base of all rows. They are frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def read_rows(path: Path, kind: type[Row]) -> Row:
    """Return the file's content as a checked `kind`.

    Raises:
        ConfigurationError: The file cannot be read, is not YAML or does not fit; the error names the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.load(text, _Loader)  # noqa: S506 - a safe loader, chosen above
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"{path}: cannot be read ({problem})") from None
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigurationError(f"{path}{line}: not valid YAML ({getattr(problem, 'problem', problem)})") from None
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            f"{path}, line {_line_of(text, first['loc'])}: {field}: {failed_check(first['msg'])}"
        ) from None


def _line_of(text: str, location: tuple[str | int, ...]) -> int:
    """Return the line of `location`, or of the deepest node above it that exists."""

    def descend(node: yaml.Node, part: str | int) -> yaml.Node:
        if isinstance(node, yaml.MappingNode):
            return next((value for name, value in node.value if name.value == str(part)), node)
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            child: yaml.Node = node.value[part]
            return child
        return node

    root = yaml.compose(text, _Loader)
    return int(reduce(descend, location, root).start_mark.line) + 1 if root else 1
