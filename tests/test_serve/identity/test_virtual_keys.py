"""Keys that we issue: their form, their checksum, who is let in."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.errors import BadVirtualKeyError, ConfigurationError
from serve.identity.virtual_keys import (
    ANONYMOUS,
    VIRTUAL_KEY_PATTERN,
    KeyRing,
    VirtualKeyHolder,
    is_well_formed,
    issue_virtual_key,
    presented_key,
)
from serve.redaction import redact


def test_an_issued_key_has_the_published_form_and_a_valid_checksum() -> None:
    for kind in ("live", "test"):
        key = issue_virtual_key(kind)
        assert re.fullmatch(VIRTUAL_KEY_PATTERN, key)
        assert is_well_formed(key)


@given(st.integers(8, 43), st.sampled_from("0aZ"))
def test_a_typo_is_noticed_without_asking_anybody(place: int, other: str) -> None:
    key = issue_virtual_key()
    typo = key[:place] + other + key[place + 1 :]
    assert is_well_formed(typo) == (typo == key)


def test_the_ring_recognises_its_keys_and_nobody_elses() -> None:
    key = issue_virtual_key()
    ring = KeyRing([(VirtualKeyHolder("laptop", "default"), key)])
    assert ring.recognise(key).virtual_key_id == "laptop"
    for stranger in (None, "", issue_virtual_key(), key[:-1]):
        with pytest.raises(BadVirtualKeyError):
            ring.recognise(stranger)


def test_without_any_key_everybody_is_anonymous() -> None:
    assert KeyRing([]).recognise(None) is ANONYMOUS


def test_a_malformed_or_repeated_key_is_refused_at_start_without_printing_it() -> None:
    with pytest.raises(ConfigurationError, match="'laptop'") as caught:
        KeyRing([(VirtualKeyHolder("laptop", "default"), "ll_live_wrong")])
    assert "ll_live_wrong" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="two virtual keys are named 'a'"):
        KeyRing([(VirtualKeyHolder("a", "default"), issue_virtual_key()) for _ in range(2)])


def test_the_key_comes_as_a_bearer_token_or_as_x_api_key() -> None:
    assert presented_key(b"Bearer ll_live_x", None) == "ll_live_x"
    assert presented_key(b"bearer ll_live_x", b"other") == "ll_live_x"
    assert presented_key(None, b"ll_live_x") == "ll_live_x"
    assert presented_key(b"Basic abc", None) is None


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefgh1234",
        "sk-ant-api03-abcdefgh",
        "sk-or-v1-0123456789",
        "gsk_abcdefgh1234",
        "csk-abcdefgh1234",
        "nvapi-abcdefgh1234",
        "AIzaSyAbcdefgh123",
        "xai-abcdefgh1234",
        "fw_abcdefgh1234",
        "ll_live_abcdefgh1234",
        "Bearer abcdefgh1234",
    ],
)
def test_whatever_looks_like_a_credential_is_redacted(secret: str) -> None:
    assert (
        redact(f"Incorrect API key provided: {secret} (see docs)")
        == "Incorrect API key provided: [redacted] (see docs)"
    )


def test_the_examples_in_our_own_messages_are_left_alone() -> None:
    message = BadVirtualKeyError().message
    assert "Bearer ll_live_…" in message
    assert redact(message) == message
    assert redact("Bearer ll_live_abcdefgh1234") == "[redacted]"
