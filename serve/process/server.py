"""Runs the gateway under uvicorn, and reports its address as soon as it listens."""

import gc
from collections.abc import Callable
from socket import socket

import uvicorn
from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError

from serve.errors import ConfigurationError
from serve.gateway import resources_of
from serve.process.held_head import HeadHoldingProtocol

_GRACEFUL_SHUTDOWN_S = 30
_COLLECTION_THRESHOLDS = (20_000, 20, 20)
"""Requests leave few reference cycles. Looking for them as often as Python does by default costs about 3% of the
requests per second."""


class GatewayServer(uvicorn.Server):
    """One process that serves the gateway.

    Args:
        app: Application of the gateway.
        host: Address to listen on.
        port: TCP port; 0: any free port.
    """

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            loop="auto",
            http=HeadHoldingProtocol,
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            date_header=True,
            timeout_graceful_shutdown=_GRACEFUL_SHUTDOWN_S,
            backlog=4096,
        )
        super().__init__(config)
        self._app = app
        self._on_ready: Callable[[str], None] = lambda url: None

    def run_until_stopped(self, on_ready: Callable[[str], None], listener: socket | None = None) -> None:
        """Serve until a signal comes.

        Args:
            on_ready: Function that receives the base URL as soon as the server accepts connections.
            listener: Socket to accept from, which other workers may share; None: the server opens its own.

        Raises:
            ConfigurationError: The address cannot be bound, or the gateway cannot start. The text names the cause.
        """
        self._on_ready = on_ready
        try:
            self.run(None if listener is None else [listener])
        except SystemExit as error:
            # uvicorn logs the cause and exits. Its log line names the address.
            failure = resources_of(self._app).supervisor.start_error
            if failure is not None:
                cause = failure.orig if isinstance(failure, DBAPIError) else failure
                raise ConfigurationError(f"the gateway cannot start: {cause}") from None
            if error.code not in (0, None):
                raise ConfigurationError(
                    f"cannot listen on {self.config.host}:{self.config.port}: "
                    "choose another --port, or 0 for any free one"
                ) from None

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Bind the address, then report it."""
        await super().startup(sockets)
        # The objects of the start stay: the collector need not look at them again, and looks at the others less often.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_COLLECTION_THRESHOLDS)
        if self.started:
            port = (sockets or self.servers[0].sockets)[0].getsockname()[1]
            host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
            self._on_ready(f"http://{host}:{port}")
