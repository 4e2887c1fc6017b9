"""`llmdeal local`."""

import contextlib
import os
from pathlib import Path
from typing import Annotated

import typer

from serve.cli.errors import one_line_errors

WORTH_OF_A_GOOD_ANSWER_USD = 0.0001
"""Local answers cost millionths of a dollar. Against the usual value of an answer that is nothing, and the better model would always win."""


def local(
    port: Annotated[int | None, typer.Option(help="TCP port; 0 takes any free one.")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file, for everything but lanes.")] = None,
) -> None:
    """Start two small real language models on this machine, and the gateway in front of them.

    They need no account and cost electricity only, which is what their lanes' prices stand for.
    """
    from serve.cli.logging_setup import set_up_logging
    from serve.cli.welcome import print_welcome
    from serve.local_models.catalogue import LOCAL_MODELS
    from serve.local_models.processes import start_all
    from serve.settings import check_exposure, load_settings

    set_up_logging("info")
    with one_line_errors(), contextlib.ExitStack() as stack:
        servers = [process.as_settings() for process in start_all(LOCAL_MODELS, stack)]
        worth = {} if "LLMDEAL_WILLINGNESS_TO_PAY_USD" in os.environ else {"willingness_to_pay_usd": WORTH_OF_A_GOOD_ANSWER_USD}
        settings = load_settings(config, os.environ, {"port": port, "servers": servers, "sandbox": "off", **worth})
        check_exposure(settings)

        from serve.app import create_app
        from serve.server import GatewayServer

        # Without the environment's provider keys: everything here runs on this machine.
        paths = {name: os.environ[name] for name in ("HOME", "XDG_DATA_HOME") if name in os.environ}
        app = create_app(settings, paths)
        server = GatewayServer(app, settings.host, settings.port)
        server.run_until_stopped(lambda url: print_welcome(url, app.state.resources))
