"""`llmdeal serve`: the gateway itself."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serve.cli.errors import one_line_errors

if TYPE_CHECKING:
    from serve.settings import Settings


def serve(
    config: Annotated[
        Path | None, typer.Option(help="Settings file; by default llmdeal.toml, where there is one.")
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; other than loopback needs a virtual key.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; 0 takes any free one.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that serve; each takes a core.")] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Start the gateway: one OpenAI-compatible endpoint in front of all your providers."""
    from serve.process.logging_setup import set_up_logging
    from serve.process.welcome import print_welcome
    from serve.settings import check_exposure, load_settings

    set_up_logging(log_level)
    with one_line_errors():
        settings = load_settings(config, os.environ, {"host": host, "port": port, "workers": workers})
        check_exposure(settings)
        if settings.workers > 1:
            _serve_with_workers(settings, log_level)
            return

        from serve.app import create_app
        from serve.process.server import GatewayServer

        app = create_app(settings, os.environ)
        server = GatewayServer(app, settings.host, settings.port)
        server.run_until_stopped(lambda url: print_welcome(url, app.state.resources))


def _serve_with_workers(settings: "Settings", log_level: str) -> None:
    from serve.app import prepare_database
    from serve.process.workers import WorkerPool

    prepare_database(settings, os.environ)
    WorkerPool(settings, log_level).run_until_stopped(lambda welcome: typer.echo(welcome, err=True, nl=False))
