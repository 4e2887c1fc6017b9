"""`llmdeal settings`: the list of all settings."""

from rich.console import Console
from rich.table import Table


def settings() -> None:
    """List every setting: its name in llmdeal.toml, in the environment, its default, and what it does."""
    from serve.settings import Settings, environment_variable

    table = Table("llmdeal.toml", "environment", "default", "meaning", title="Settings", title_justify="left")
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else str(field.default)
        table.add_row(name, environment_variable(name), default, field.description or "")
    Console().print(table)
