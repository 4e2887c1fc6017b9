"""Anthropic's tools that run at the caller: to other providers they are functions with the published schema.

Sources: platform.claude.com/docs, "Bash tool", "Text editor tool", "Memory tool"; types of the package anthropic
2.12.0; read 2026-12-01.
"""

from typing import Any, Final

from serve.dialects.neutral.request import Tool

_PATH: Final = {"type": "string", "description": "Absolute path of the file or directory."}
_TEXT: Final = {"type": "string"}
_RANGE: Final = {
    "type": "array",
    "items": {"type": "integer"},
    "description": "For view: first and last line, counted from 1; -1 as the last line is the end.",
}
_LINE: Final = {"type": "integer", "description": "For insert: the text comes after this line; 0 is the beginning."}
_COMMAND: Final = "command"
_BASH: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        _COMMAND: {"type": "string", "description": "The bash command to run. Required unless restart is true."},
        "restart": {"type": "boolean", "description": "True: the shell is restarted."},
    },
}


def _editor(*commands: str) -> dict[str, Any]:
    """Return the schema of an editor; only the older one can undo, and it inserts `new_str`."""
    is_older = "undo_edit" in commands
    fields: dict[str, Any] = {
        _COMMAND: {"type": "string", "enum": list(commands)},
        "path": _PATH,
        "file_text": {**_TEXT, "description": "For create: the content of the file."},
        "old_str": {**_TEXT, "description": "For str_replace: the text to replace; it must occur exactly once."},
        "new_str": {**_TEXT, "description": f"For str_replace{' and insert' if is_older else ''}: the new text."},
        "insert_line": _LINE,
        "view_range": _RANGE,
    }
    if not is_older:
        fields["insert_text"] = {**_TEXT, "description": "For insert: the text to insert."}
    return {"type": "object", "properties": fields, "required": [_COMMAND, "path"]}


_OLD_EDITOR: Final = _editor("view", "create", "str_replace", "insert", "undo_edit")
_EDITOR: Final = _editor("view", "create", "str_replace", "insert")
_MEMORY: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        _COMMAND: {"type": "string", "enum": ["view", "create", "str_replace", "insert", "delete", "rename"]},
        "path": {**_TEXT, "description": "Path below /memories; for rename, see old_path and new_path."},
        "file_text": {**_TEXT, "description": "For create: the content of the file."},
        "old_str": {**_TEXT, "description": "For str_replace: the text to replace."},
        "new_str": {**_TEXT, "description": "For str_replace: the new text."},
        "insert_line": _LINE,
        "insert_text": {**_TEXT, "description": "For insert: the text to insert."},
        "old_path": _TEXT,
        "new_path": _TEXT,
        "view_range": _RANGE,
    },
    "required": [_COMMAND],
}
_SCHEMAS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "bash_": ("Run a command in a bash shell that stays open between calls.", _BASH),
    "text_editor_20241022": ("View, create and edit text files.", _OLD_EDITOR),
    "text_editor_20250124": ("View, create and edit text files.", _OLD_EDITOR),
    "text_editor_": ("View, create and edit text files.", _EDITOR),
    "memory_": ("View and edit the files of the memory, below /memories. View it before other work.", _MEMORY),
}


def client_tool(kind: str, name: str) -> Tool | None:
    """Return a tool that the caller runs as a function. None: the type is none of these."""
    for beginning, (description, schema) in _SCHEMAS.items():
        if kind.startswith(beginning):
            return Tool(name, description, schema)
    return None
