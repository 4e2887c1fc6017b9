"""`llmdeal local`: the gateway with two small real language models on this machine."""

import contextlib
import os
from pathlib import Path
from typing import Annotated

import typer

from serve.cli.errors import one_line_errors


def local(
    port: Annotated[int | None, typer.Option(help="TCP port; 0 takes any free one.")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file, for everything but lanes.")] = None,
) -> None:
    """Start two small real language models on this machine, and the gateway in front of them.

    They need no account. Their prices, 0.01 and 0.02 USD per million tokens, are nominal: local compute sends no bill.
    """
    from serve.jobs.local_models.model_files import LOCAL_MODELS
    from serve.jobs.local_models.processes import local_settings, start_all
    from serve.process.logging_setup import set_up_logging
    from serve.process.welcome import print_welcome
    from serve.settings import check_exposure

    set_up_logging("info")
    with one_line_errors(), contextlib.ExitStack() as stack:
        servers = [process.as_settings() for process in start_all(LOCAL_MODELS, stack)]
        settings = local_settings(config, os.environ, port, servers)
        check_exposure(settings)

        from serve.app import create_app
        from serve.process.server import GatewayServer

        # The provider keys of the environment are left out: everything here runs on this machine.
        paths = {name: os.environ[name] for name in ("HOME", "XDG_DATA_HOME") if name in os.environ}
        app = create_app(settings, paths)
        server = GatewayServer(app, settings.host, settings.port)
        server.run_until_stopped(lambda url: print_welcome(url, app.state.resources))
