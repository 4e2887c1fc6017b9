"""The sandbox behind the same port as a real provider. It runs in this process; nothing leaves the machine."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import msgspec

from router.lane import Lane
from serve.sandbox.lanes import sandbox_lanes
from serve.sandbox.simulated_answer import SimulatedAnswer, simulate_answer
from serve.upstream.destination import Destination
from serve.upstream.transport import Deadlines, UpstreamResponse


class SandboxResponse:
    """A simulated response that takes its time."""

    status = 200

    def __init__(self, answer: SimulatedAnswer, ttft_s: float, token_s: float, with_usage: bool) -> None:
        self.is_over = False
        self._answer = answer
        self._ttft_s = ttft_s
        self._token_s = token_s
        self._with_usage = with_usage
        self.headers: Mapping[str, str] = {"x-request-id": answer.answer_id}

    async def read(self, limit_bytes: int) -> bytes:
        """Return the whole body, after the time that a provider would take to write it."""
        await asyncio.sleep(self._ttft_s + self._token_s * len(self._answer.words))
        self.is_over = True
        return self._answer.completion()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield one event per token."""
        await asyncio.sleep(self._ttft_s)
        yield self._answer.first_chunk()
        for word in self._answer.words:
            await asyncio.sleep(self._token_s)
            yield self._answer.word_chunk(word)
        self.is_over = True
        yield self._answer.last_chunks(self._with_usage)

    def close(self) -> None:
        """Do nothing: there is no connection."""


class SandboxRefusal:
    """A refusal of a request that no model could answer, in OpenAI's form."""

    status = 400

    def __init__(self, message: str) -> None:
        self.is_over = False
        self.headers: Mapping[str, str] = {}
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
        self._body = msgspec.json.encode({"error": error})

    async def read(self, limit_bytes: int) -> bytes:
        """Return the whole body."""
        self.is_over = True
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the whole body."""
        self.is_over = True
        yield self._body

    def close(self) -> None:
        """Do nothing: there is no connection."""


class SandboxTransport:
    """Transport to the sandbox's lanes.

    Args:
        pace: Factor on all waiting times. 0: it answers at once, for load tests.
    """

    def __init__(self, pace: float = 1.0) -> None:
        self._pace = pace
        self._lanes: dict[str, Lane] = {lane.upstream_model: lane for lane in sandbox_lanes()}

    async def post(
        self, destination: Destination, own_headers: Mapping[str, str], body: bytes, deadlines: Deadlines
    ) -> UpstreamResponse:
        """Return the simulated response to a chat request, or a refusal if it is malformed."""
        try:
            answer, request = simulate_answer(body)
        except msgspec.ValidationError as problem:
            return SandboxRefusal(f"The sandbox cannot answer this request: {problem}")
        lane = self._lanes[request.model]
        ttft_s = self._pace * (lane.typical_ttft_ms or 0) / 1_000
        token_s = self._pace / (lane.typical_tokens_per_s or 1_000)
        with_usage = request.stream_options is not None and request.stream_options.include_usage
        return SandboxResponse(answer, ttft_s, token_s, with_usage)

    async def close(self) -> None:
        """Do nothing: there is no connection."""
