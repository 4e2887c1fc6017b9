"""Clouds that need more than a key, through the public doors: signed requests for Bedrock, tokens for Vertex."""

import hashlib
import hmac
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from fakes.gateway_thread import GatewayThread
from fakes.google_tokens import GoogleTokens
from fakes.scripted_provider import ScriptedProvider, recorded

from serve.errors import ConfigurationError
from serve.upstream.signing.aws import AwsSigner
from serve.upstream.signing.google import GoogleSigner
from serve.upstream.signing.signer import CredentialsUnavailable

pytestmark = pytest.mark.slow

MESSAGES: Any = [{"role": "user", "content": "What is 17 * 23?"}]
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # of AWS's documentation
KEY_ID = "AKIDEXAMPLE"


@pytest.fixture
def cloud() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as provider:
        yield provider


@pytest.fixture
def tokens() -> Iterator[GoogleTokens]:
    with GoogleTokens() as running:
        yield running


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


def signature_of(headers: dict[str, str], path: str, body: bytes) -> str:
    """Work out what the signature of a POST must be, from AWS's description of Signature Version 4 alone."""
    given = {name.lower(): value for name, value in headers.items()}
    fields = dict(
        part.strip().split("=", 1) for part in given["authorization"].removeprefix("AWS4-HMAC-SHA256 ").split(",")
    )
    _, day, region, service, ending = fields["Credential"].split("/")
    names = fields["SignedHeaders"].split(";")
    canonical_path = urllib.parse.quote(path, safe="/-_.~")
    canonical = "\n".join(
        [
            "POST",
            canonical_path,
            "",
            *(f"{name}:{given[name].strip()}" for name in names),
            "",
            ";".join(names),
            hashlib.sha256(body).hexdigest(),
        ]
    )
    scope = f"{day}/{region}/{service}/{ending}"
    to_sign = "\n".join(
        ["AWS4-HMAC-SHA256", given["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()]
    )
    key = f"AWS4{SECRET}".encode()
    for part in (day, region, service, ending):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()


def wait_for_credentials(gateway: GatewayThread) -> None:
    """The gateway fetches credentials in the background; do so here too, so that no test depends on who is quicker."""
    for signer in gateway.background("credentials").present():
        signer.refresh()


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    ("region", "aws_region", "prefix"), [(None, "us-east-1", "global."), ("eu", "eu-central-1", "eu.")]
)
def test_bedrock_is_asked_with_a_signature_that_holds(
    cloud: ScriptedProvider, tmp_path: Path, region: str | None, aws_region: str, prefix: str
) -> None:
    cloud.script = [recorded("bedrock/answer.json"), recorded("bedrock/stream.eventstream")]
    bedrock = {"credentials": "aws", "base_url": cloud.base_url, **({"region": region} if region else {})}
    with GatewayThread(tmp_path, providers={"bedrock": bedrock}) as gateway:
        wait_for_credentials(gateway)
        with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client:
            model = "anthropic/claude-opus-5.5"
            route = {"route": {"region": region}} if region else {}
            assert client.chat.completions.create(model=model, messages=MESSAGES, extra_body=route).choices
            assert list(client.chat.completions.create(model=model, messages=MESSAGES, stream=True))
    for headers, path, body in zip(cloud.headers, cloud.paths, cloud.raw_bodies, strict=True):
        assert f"/model/{prefix}anthropic.claude-opus-5-5/converse" in path
        authorization = headers["Authorization"]
        assert f"Credential={KEY_ID}/" in authorization
        assert f"/{aws_region}/bedrock/aws4_request" in authorization
        assert authorization.endswith(f"Signature={signature_of(headers, path, body)}")
        assert SECRET not in str(headers)


def test_without_credentials_the_lane_rests_and_another_answers(
    cloud: ScriptedProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, aws: None
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    own = {"upstream_model": "own", "vendor_model": "anthropic/claude-opus-5.5", "input_usd_per_mtok": "900"}
    servers = [{"id": "own", "base_url": cloud.base_url, "models": [{**own, "context_tokens": 9_000}]}]
    bedrock = {"credentials": "aws", "base_url": cloud.base_url}
    with GatewayThread(tmp_path, providers={"bedrock": bedrock}, servers=servers) as gateway:
        body = {"model": "anthropic/claude-opus-5.5", "messages": MESSAGES}
        answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=body)
        assert answer.headers["x-llmdeal-lane"] == "own/own"
        assert answer.headers["x-llmdeal-reason"] == "fallback_error"
        assert gateway.attempts()[0].error_code == "no_credentials"
    with pytest.raises(CredentialsUnavailable, match="no credentials in the environment"):
        AwsSigner("us-east-1").refresh()


def test_an_unknown_profile_is_refused_at_the_start(aws: None) -> None:
    with pytest.raises(ConfigurationError, match="nobody"):
        AwsSigner("us-east-1", "nobody")


def vertex(file: Path, cloud: ScriptedProvider, **others: Any) -> dict[str, Any]:
    base_url = f"{cloud.base_url}/projects/{{project}}/locations/{{location}}"
    return {"key": str(file), "base_url": base_url, **others}


def test_gemini_and_claude_answer_on_vertex_with_the_service_accounts_token(
    cloud: ScriptedProvider, tokens: GoogleTokens, tmp_path: Path
) -> None:
    cloud.script = [
        recorded("gemini/answer.json"),
        recorded("gemini/stream.sse", pieces=5),
        recorded("anthropic/answer.json"),
        recorded("anthropic/stream.sse", pieces=5),
    ]
    file = tokens.write_account(tmp_path / "account.json")
    providers = {
        "vertex": vertex(file, cloud, location="europe-west4"),
        "vertex-claude": vertex(file, cloud, location="europe-west4"),
    }
    with GatewayThread(tmp_path, providers=providers) as gateway:
        wait_for_credentials(gateway)
        with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client:
            for model in ("google/gemini-3.8-flash", "anthropic/claude-opus-5.5"):
                in_europe = {"route": {"region": "eu"}}
                answer = client.chat.completions.with_raw_response.create(
                    model=model, messages=MESSAGES, extra_body=in_europe
                )
                assert answer.headers["x-llmdeal-provider"].startswith("vertex")
                assert list(client.chat.completions.create(model=model, messages=MESSAGES, stream=True))
        body = {"model": "anthropic/claude-opus-5.5", "messages": MESSAGES, "max_tokens": 20}
        cloud.script = [recorded("anthropic/answer.json")]
        assert httpx.post(f"{gateway.url}/v1/messages", json=body).status_code == 200
    root = "/v1/projects/a-project/locations/europe-west4/publishers"
    assert cloud.paths == [
        f"{root}/google/models/gemini-3.8-flash:generateContent",
        f"{root}/google/models/gemini-3.8-flash:streamGenerateContent",
        f"{root}/anthropic/models/claude-opus-5-5:rawPredict",
        f"{root}/anthropic/models/claude-opus-5-5:streamRawPredict",
        f"{root}/anthropic/models/claude-opus-5-5:rawPredict",
    ]
    assert all(headers["Authorization"].startswith("Bearer token-") for headers in cloud.headers)
    for asked in cloud.requests[2:]:
        assert asked["anthropic_version"] == "vertex-2023-10-16"
        assert "model" not in asked
    assert tokens.assertions[0]["scope"] == "https://www.googleapis.com/auth/cloud-platform"


def test_a_token_is_fetched_anew_before_it_expires_and_none_is_used_after(tokens: GoogleTokens, tmp_path: Path) -> None:
    signer = GoogleSigner(tokens.write_account(tmp_path / "account.json"))
    with pytest.raises(CredentialsUnavailable):
        signer.sign("https://x", {}, b"")
    wait_s = signer.refresh()
    assert 3_000 < wait_s < 3_600
    assert signer.sign("https://x", {"a": "b"}, b"") == {"authorization": "Bearer token-1"}
    tokens.lifetime_s = -1
    assert signer.refresh() < 60
    with pytest.raises(CredentialsUnavailable):
        signer.sign("https://x", {}, b"")


def test_a_token_endpoint_that_refuses_is_said_without_a_secret(
    tokens: GoogleTokens, tmp_path: Path, caplog: pytest.LogCaptureFixture, cloud: ScriptedProvider
) -> None:
    tokens.is_refusing = True
    file = tokens.write_account(tmp_path / "account.json")
    with GatewayThread(tmp_path, providers={"vertex": vertex(file, cloud)}) as gateway:
        body = {"model": "google/gemini-3.8-flash", "messages": MESSAGES}
        answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=body)
        assert answer.status_code == 502
        deadline = time.monotonic() + 10
        while not any("no token could be fetched" in line for line in caplog.messages):
            assert time.monotonic() < deadline
            httpx.get(f"{gateway.url}/healthz")
        shown_text = caplog.text + answer.text
    assert "PRIVATE KEY" not in shown_text
    assert file.read_text(encoding="utf-8")[60:120] not in shown_text


@pytest.mark.parametrize("text", ["", "{}", '{"type": "service_account", "private_key": "canary-secret"}'])
def test_a_file_that_is_no_service_account_stops_the_start_and_is_not_quoted(tmp_path: Path, text: str) -> None:
    file = tmp_path / "account.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"account\.json: no usable credentials") as caught:
        GoogleSigner(file)
    assert "canary-secret" not in str(caught.value)
