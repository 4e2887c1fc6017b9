"""The heads of requests: what all requests of a destination have in common, and what one request adds."""

import gc
import weakref
from collections.abc import ItemsView

import pytest

from serve.upstream.destination import Destination, MalformedHead, Origin

URL = "https://api.example.com/v1/messages?beta=true"


class CountedHeaders(dict[str, str]):
    """Headers that count how often they are read, and can be referred to weakly."""

    n_read = 0

    def items(self) -> ItemsView[str, str]:
        self.n_read += 1
        return super().items()


def lines_of(head: bytes) -> list[bytes]:
    text, end, rest = head.partition(b"\r\n\r\n")
    assert (end, rest) == (b"\r\n\r\n", b"")
    return text.split(b"\r\n")


def test_a_head_has_the_headers_of_the_destination_and_of_the_request() -> None:
    head = Destination(URL, {"X-Api-Key": "k%d"}).head({"Anthropic-Beta": "tools"}, 12)
    assert lines_of(head) == [
        b"POST /v1/messages?beta=true HTTP/1.1",
        b"host: api.example.com",
        b"accept: */*",
        b"accept-encoding: identity",
        b"x-api-key: k%d",
        b"anthropic-beta: tools",
        b"content-length: 12",
    ]


def test_a_header_of_the_request_takes_the_place_of_the_destinations() -> None:
    destination = Destination(URL, {"anthropic-version": "2023-06-01", "accept": "application/json"})
    own = lines_of(destination.head({"Anthropic-Version": "2024-10-22"}, 2))
    assert [line for line in own if line.startswith(b"anthropic-version")] == [b"anthropic-version: 2024-10-22"]
    common = lines_of(destination.head({}, 2))
    assert b"anthropic-version: 2023-06-01" in common
    assert [line for line in common if line.startswith(b"accept:")] == [b"accept: application/json"]


def test_the_headers_of_a_destination_are_encoded_once_whatever_its_requests_add() -> None:
    headers = CountedHeaders({"anthropic-version": "2023-06-01"})
    destination = Destination(URL, headers)
    for number in range(10):
        destination.head({}, number)
        destination.head({"anthropic-version": "2023-06-01", "authorization": f"signature {number}"}, number)
    assert headers.n_read == 1


def test_the_headers_of_a_request_are_not_kept() -> None:
    destination = Destination(URL, {})
    own_headers = CountedHeaders({"authorization": "signature"})
    destination.head(own_headers, 2)
    reference = weakref.ref(own_headers)
    del own_headers
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://a.example/v1", Origin("a.example", 443, True)),
        ("http://user@a.example:8080", Origin("a.example", 8080, False)),
    ],
)
def test_an_origin_is_host_port_and_whether_it_is_encrypted(url: str, origin: Origin) -> None:
    assert Destination(url, {}).origin == origin


@pytest.mark.parametrize("url", ["ftp://a/", "http:///x", "http://a:port/", "http://a:70000/"])
def test_a_url_that_cannot_be_posted_to_is_refused(url: str) -> None:
    with pytest.raises(MalformedHead, match="the lane's URL"):
        _ = Destination(url, {}).origin


@pytest.mark.parametrize(
    ("value", "reason"),
    [("1\r\ny: 2", "line break"), ("1\n", "line break"), ("\0", "line break"), ("Bearer ключ", "Latin-1")],
)
def test_a_header_that_http_cannot_carry_is_refused(value: str, reason: str) -> None:
    with pytest.raises(MalformedHead, match=reason):
        Destination(URL, {"x": value}).head({}, 0)
    with pytest.raises(MalformedHead, match=reason):
        Destination(URL, {}).head({"x": value}, 0)
