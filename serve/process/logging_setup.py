"""Logging of the command line: one line an event on standard error, without secrets; libraries log warnings only."""

import logging

from serve.redaction import RedactingFilter

_CHATTERING = ("alembic", "uvicorn.error", "asyncio")


def set_up_logging(level: str) -> None:
    """Send log records of this process to standard error.

    Args:
        level: Least level to log: debug, info, warning or error. Libraries log from warnings on, except at debug.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(RedactingFilter())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    if level != "debug":
        for name in _CHATTERING:
            logging.getLogger(name).setLevel(logging.WARNING)
