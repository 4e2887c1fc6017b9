"""The client to the providers against real sockets that behave, break off, stall and send nonsense."""

import asyncio
import contextlib
import gc
import socket
import ssl
import weakref
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
import trustme
from fakes.raw_server import HangUp, Pause, RawServer, Step, raw_server
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.upstream.destination import Destination
from serve.upstream.http_transport import HttpTransport
from serve.upstream.transport import ConnectFailed, DeadlinePassed, Deadlines, StreamBroken, TransportError

Outcome = TypeVar("Outcome")

PATIENT = Deadlines(2, 5, 10)
OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"Content-Length: 5\r\nX-Request-Id: up-1\r\n\r\nhello"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"


@contextlib.asynccontextmanager
async def transport_to(*answers: list[Step]) -> AsyncIterator[tuple[HttpTransport, RawServer]]:
    async with raw_server(*answers) as server:
        transport = HttpTransport()
        try:
            yield transport, server
        finally:
            await transport.close()


async def fetch(transport: HttpTransport, port: int, deadlines: Deadlines = PATIENT, body: bytes = b"{}") -> bytes:
    destination = Destination(f"http://127.0.0.1:{port}/v1/chat?a=1", {"Authorization": "Bearer k%d"})
    response = await transport.post(destination, {"X-Beta": "b"}, body, deadlines)
    try:
        return await response.read(1_000_000)
    finally:
        response.close()


def answer_to(*answers: list[Step], deadlines: Deadlines = PATIENT, times: int = 1) -> tuple[list[bytes], RawServer]:
    """Return what was read from a server with these answers, and the server."""

    async def run() -> tuple[list[bytes], RawServer]:
        async with transport_to(*answers) as (transport, server):
            return [await fetch(transport, server.port, deadlines) for _ in range(times)], server

    return asyncio.run(run())


@pytest.mark.parametrize(
    "raw", [HELLO, CHUNKED, b"HTTP/1.1 100 Continue\r\n\r\n" + HELLO], ids=["length", "chunked", "after 100"]
)
def test_an_answer_is_read_and_its_connection_used_again(raw: bytes) -> None:
    bodies, server = answer_to([raw], times=3)
    assert bodies == [b"hello"] * 3
    assert server.n_connections == 1


def test_the_request_says_what_it_must_and_keeps_the_callers_headers() -> None:
    _, server = answer_to([HELLO])
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /v1/chat?a=1 HTTP/1.1"
    assert {f"host: 127.0.0.1:{server.port}".encode(), b"authorization: Bearer k%d", b"content-length: 2"} <= set(lines)
    assert {b"accept-encoding: identity", b"x-beta: b"} <= set(lines)
    assert body == b"{}"


def test_nothing_of_a_request_is_kept_once_it_was_answered() -> None:
    class Headers(dict[str, str]):
        """Headers that can be referred to weakly."""

    async def run() -> bool:
        async with transport_to([HELLO]) as (transport, server):
            own_headers = Headers({"authorization": "signature"})
            destination = Destination(f"http://127.0.0.1:{server.port}/", {})
            response = await transport.post(destination, own_headers, b"", PATIENT)
            await response.read(100)
            response.close()
            reference = weakref.ref(own_headers)
            del own_headers, destination, response
            gc.collect()
            return reference() is None

    assert asyncio.run(run())


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(1, len(CHUNKED) - 1), max_size=8).map(lambda cuts: sorted(set(cuts))))
def test_an_answer_is_the_same_wherever_the_network_cuts_it(cuts: list[int]) -> None:
    pieces: list[Step] = [CHUNKED[start:end] for start, end in zip([0, *cuts], [*cuts, len(CHUNKED)], strict=True)]
    assert answer_to(pieces)[0] == [b"hello"]


def test_a_body_without_a_length_ends_with_its_connection() -> None:
    bodies, server = answer_to([OK + b"\r\nhel", b"lo", HangUp()], times=2)
    assert bodies == [b"hello"] * 2
    assert server.n_connections == 2


def test_a_provider_that_wants_to_close_is_not_asked_again_on_that_connection() -> None:
    _, server = answer_to([OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n"], times=2)
    assert server.n_connections == 2


def test_a_connection_with_bytes_of_no_request_is_dropped() -> None:
    bodies, server = answer_to([HELLO + HELLO], times=2)
    assert bodies == [b"hello"] * 2
    assert server.n_connections == 2


def test_a_connection_that_the_provider_closed_while_idle_is_replaced() -> None:
    async def run() -> int:
        async with transport_to([HELLO, HangUp()], [HELLO]) as (transport, server):
            await fetch(transport, server.port)
            await asyncio.sleep(0.05)
            await fetch(transport, server.port)
            return server.n_connections

    assert asyncio.run(run()) == 2


def test_a_connection_that_the_provider_closes_when_it_is_used_again_is_replaced() -> None:
    bodies, server = answer_to([HELLO], [HangUp()], [HELLO], times=2)
    assert bodies == [b"hello"] * 2
    assert (server.n_connections, len(server.requests)) == (2, 3)


@pytest.mark.parametrize(
    "second", [[OK[:9], HangUp()], [Pause(1.2), HangUp()]], ids=["after a byte of the answer", "after working on it"]
)
def test_a_request_that_may_have_been_worked_on_is_not_sent_again(second: list[Step]) -> None:
    with pytest.raises(StreamBroken, match="connection broke"):
        answer_to([HELLO], second, [HELLO], times=2)


@pytest.mark.parametrize("wbits", [31, 15], ids=["gzip", "deflate"])
def test_a_compressed_answer_is_read_though_none_was_asked_for(wbits: int) -> None:
    packer = zlib.compressobj(wbits=wbits)
    packed = packer.compress(b"hello" * 500) + packer.flush()
    coding = b"gzip" if wbits == 31 else b"deflate"
    head = OK + b"Content-Encoding: " + coding + b"\r\nContent-Length: %d\r\n\r\n" % len(packed)
    assert answer_to([head + packed[:9], packed[9:]])[0] == [b"hello" * 500]


BROKEN: dict[str, tuple[list[Step], str]] = {
    "closed before the head": ([HangUp()], "connection broke"),
    "closed within the head": ([OK[:9], HangUp()], "connection broke"),
    "closed within the body": ([HELLO[:-2], HangUp()], "connection broke"),
    "closed within a chunk": ([CHUNKED[:-9], HangUp()], "connection broke"),
    "not HTTP": ([b"SSH-2.0-OpenSSH_9.9\r\n\r\n"], r"not HTTP/1\.1"),
    "an upgrade": ([b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"], r"not HTTP/1\.1"),
    "an endless head": ([OK + b"X: " + b"a" * 70_000 + b"\r\n\r\n"], r"not HTTP/1\.1"),
    "an unknown coding": ([OK + b"Content-Encoding: br\r\nContent-Length: 1\r\n\r\nx"], "content coding 'br'"),
    "damaged compression": ([OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"], "damaged"),
    "too large": ([OK + b"Content-Length: 2000000\r\n\r\n", b"x" * 2_000_000], "more than 1000000 bytes"),
}


@pytest.mark.parametrize(("steps", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_answer_is_reported_as_broken(steps: list[Step], message: str) -> None:
    with pytest.raises(StreamBroken, match=message):
        answer_to(steps)


LATE: dict[str, tuple[list[Step], Deadlines, str]] = {
    "no head": ([Pause(2)], Deadlines(1, 0.05, 10), "no answer in time"),
    "a silent stream": ([HELLO[:-2], Pause(2)], Deadlines(1, 0.05, 10), "fell silent"),
    "an endless stream": ([HELLO[:-2], Pause(2)], Deadlines(1, 10, 0.05), "did not come to its end in time"),
}


@pytest.mark.parametrize(("steps", "deadlines", "message"), LATE.values(), ids=LATE.keys())
def test_a_late_answer_is_reported_as_late(steps: list[Step], deadlines: Deadlines, message: str) -> None:
    with pytest.raises(DeadlinePassed, match=message):
        answer_to(steps, deadlines=deadlines)


@pytest.mark.parametrize("first", [Deadlines(1, 0.02, 10), PATIENT], ids=["shorter before", "longer before"])
def test_a_kept_connection_keeps_each_requests_own_deadline(first: Deadlines) -> None:
    async def run() -> float:
        async with transport_to([HELLO], [Pause(2)]) as (transport, server):
            await fetch(transport, server.port, first)
            began = asyncio.get_running_loop().time()
            with pytest.raises(DeadlinePassed, match="no answer in time"):
                await fetch(transport, server.port, Deadlines(1, 0.1, 10))
            assert server.n_connections == 1
            return asyncio.get_running_loop().time() - began

    assert 0.09 < asyncio.run(run()) < 1


def test_bytes_that_keep_coming_keep_the_read_deadline_away() -> None:
    slow: list[Step] = [OK + b"Content-Length: 6\r\n\r\n"]
    for _ in range(6):
        slow += [Pause(0.05), b"x"]
    assert answer_to(slow, deadlines=Deadlines(1, 0.2, 10))[0] == [b"x" * 6]


def test_a_slow_reader_misses_nothing_and_makes_no_provider_late() -> None:
    body = bytes(range(256)) * 8_000  # more than is buffered, so that the provider has to wait

    async def run() -> bytes:
        async with transport_to([OK + b"Content-Length: %d\r\n\r\n" % len(body), body]) as (transport, server):
            response = await transport.post(
                Destination(f"http://127.0.0.1:{server.port}/", {}), {}, b"", Deadlines(1, 0.1, 10)
            )
            await asyncio.sleep(0.3)
            read = [chunk async for chunk in response.chunks()]
            response.close()
            return b"".join(read)

    assert asyncio.run(run()) == body


def test_an_unfinished_answer_closes_its_connection() -> None:
    async def run() -> None:
        async with transport_to([HELLO[:-2], Pause(0.05), b"l", Pause(30)]) as (transport, server):
            response = await transport.post(Destination(f"http://127.0.0.1:{server.port}/", {}), {}, b"", PATIENT)
            response.close()
            with contextlib.suppress(TransportError):
                await fetch(transport, server.port, Deadlines(1, 0.01, 1))
            assert server.n_connections == 2

    asyncio.run(run())


def test_a_cancelled_request_hangs_up_on_the_provider() -> None:
    async def run() -> None:
        async with transport_to([Pause(0.05), HELLO[:20]]) as (transport, server):
            waiting = asyncio.create_task(fetch(transport, server.port))
            await asyncio.sleep(0.02)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await asyncio.wait_for(server.hung_up_on_us.wait(), 2)

    asyncio.run(run())


def test_at_the_limit_an_idle_connection_makes_room_and_one_in_use_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve.upstream.http_transport.MAX_CONNECTIONS", 1)

    async def run() -> None:
        async with transport_to([HELLO]) as (transport, first), raw_server([HELLO[:-2], Pause(30)]) as second:
            assert await fetch(transport, first.port) == b"hello"
            held = await transport.post(Destination(f"http://127.0.0.1:{second.port}/", {}), {}, b"", PATIENT)
            with pytest.raises(ConnectFailed, match="all 1 connections are in use"):
                await fetch(transport, first.port)
            held.close()
            await asyncio.sleep(0)
            assert await fetch(transport, first.port) == b"hello"

    asyncio.run(run())


def run_with(transport_use: Callable[[HttpTransport], Awaitable[Outcome]]) -> Outcome:
    async def run() -> Outcome:
        transport = HttpTransport()
        try:
            return await transport_use(transport)
        finally:
            await transport.close()

    return asyncio.run(run())


def test_a_port_without_a_listener_is_a_failed_connection() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        with pytest.raises(ConnectFailed, match="no connection"):
            run_with(lambda transport: fetch(transport, port))


def test_a_name_that_does_not_resolve_is_a_failed_connection() -> None:
    with pytest.raises(ConnectFailed, match="no connection"):
        run_with(lambda transport: transport.post(Destination("http://nowhere.invalid/", {}), {}, b"", PATIENT))


@pytest.mark.parametrize(("url", "headers"), [("ftp://a/", {}), ("http:///x", {}), ("http://a/", {"x": "1\r\ny: 2"})])
def test_a_request_that_cannot_be_written_is_refused(url: str, headers: dict[str, str]) -> None:
    with pytest.raises(ConnectFailed, match="the lane"):
        run_with(lambda transport: transport.post(Destination(url, headers), {}, b"", PATIENT))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


async def fetch_encrypted(authority: trustme.CA, host: str) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    async with raw_server([HELLO], tls=context) as server:
        transport = HttpTransport()
        try:
            response = await transport.post(Destination(f"https://{host}:{server.port}/", {}), {}, b"", PATIENT)
            body = await response.read(100)
            response.close()
            return body
        finally:
            await transport.close()


def test_a_certificate_that_this_machine_trusts_is_accepted(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    assert asyncio.run(fetch_encrypted(authority, "localhost")) == b"hello"
    with pytest.raises(ConnectFailed):  # the certificate is not of this address
        asyncio.run(fetch_encrypted(authority, "127.0.0.1"))


def test_a_certificate_of_an_unknown_authority_is_refused(authority: trustme.CA) -> None:
    with pytest.raises(ConnectFailed, match="no connection"):
        asyncio.run(fetch_encrypted(authority, "localhost"))
