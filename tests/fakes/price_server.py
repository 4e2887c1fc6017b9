"""A real local HTTP server that publishes prices: the packaged table of some providers, changed by a test, or lists."""

import json
import threading
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from genai_prices import data
from genai_prices.types import ModelPrice, StartDateConstraint, TieredPrices, TimeOfDateConstraint

Table = list[dict[str, Any]]


def published(
    *providers: str,
    change: Callable[[dict[str, Any]], None] | None = None,
    newest: str = "2026-11-20",
) -> Table:
    """Return the packaged table of these providers in the published format.

    Args:
        providers: Ids in the package.
        change: Changes each model in place.
        newest: Day on which the newest price of the table begins; it is the one of a model that is nowhere used.
    """
    table: Table = json.loads(_packaged(providers))
    for provider in table:
        for model in provider["models"]:
            if change is not None:
                change(model)
    rates = {"input_mtok": "1", "output_mtok": "1"}
    prices = [{"constraint": None, "prices": rates}, {"constraint": {"start_date": newest}, "prices": rates}]
    models = [{"id": "unused", "match": {"equals": "unused"}, "prices": prices}]
    return [*table, {"id": "unused", "name": "Unused", "api_pattern": "unused", "models": models}]


def times(factor: str, model_id: str) -> Callable[[dict[str, Any]], None]:
    """Return a change that multiplies the input and output rates of one model."""

    def change(model: dict[str, Any]) -> None:
        if model["id"] == model_id:
            prices = model["prices"]
            for each in [price["prices"] for price in prices] if isinstance(prices, list) else [prices]:
                for name in ("input_mtok", "output_mtok"):
                    if isinstance(each[name], str):
                        each[name] = str(Decimal(each[name]) * Decimal(factor))

    return change


@lru_cache
def _packaged(providers: tuple[str, ...]) -> str:
    table = []
    for provider in data.providers:
        if provider.id in providers:
            models = [
                {
                    "id": model.id,
                    "match": {"equals": model.id},
                    "prices": [
                        {"constraint": _constraint(price.constraint), "prices": _rates(price.prices)}
                        for price in model.prices
                    ]
                    if isinstance(model.prices, list)
                    else _rates(model.prices),
                    "price_variants": [
                        {
                            "when": variant.when,
                            "constraint": _constraint(variant.constraint),
                            "prices": _rates(variant.prices),
                        }
                        for variant in model.price_variants or ()
                    ],
                }
                for model in provider.models
            ]
            table.append(
                {"id": provider.id, "name": provider.name, "api_pattern": provider.api_pattern, "models": models}
            )
    return json.dumps(table)


def _rates(prices: ModelPrice) -> dict[str, Any]:
    def plain(rate: Any) -> Any:
        if isinstance(rate, TieredPrices):
            tiers = [{"start": tier.start, "price": str(tier.price)} for tier in rate.tiers]
            return {"base": str(rate.base), "tiers": tiers}
        return str(rate)

    return {name: plain(rate) for name, rate in vars(prices).items() if rate is not None}


def _constraint(constraint: object) -> dict[str, str] | None:
    if isinstance(constraint, StartDateConstraint):
        return {"start_date": constraint.start_date.isoformat()}
    if isinstance(constraint, TimeOfDateConstraint):
        return {"start_time": str(constraint.start_time), "end_time": str(constraint.end_time)}
    return None


class PriceServer:
    """Answers every GET with `answer`, or with `status` if that is not 200. `requests` holds (path, headers)."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.status = 200
        self.headers: dict[str, str] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                content = server.answer if isinstance(server.answer, bytes) else json.dumps(server.answer).encode()
                self.send_response(server.status)
                for name, value in server.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
