"""Logging of the command line: one line an event on standard error, secrets blacked out, libraries kept to warnings."""

import logging

from serve.redaction import RedactingFilter

_CHATTERING = ("alembic", "uvicorn.error", "asyncio")


def set_up_logging(level: str) -> None:
    """Send log records of this process to standard error.

    Args:
        level: debug, info, warning or error; the libraries' own records are shown from warnings on, except at debug.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(RedactingFilter())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    if level != "debug":
        for name in _CHATTERING:
            logging.getLogger(name).setLevel(logging.WARNING)
