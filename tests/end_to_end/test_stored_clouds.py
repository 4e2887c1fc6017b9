"""Credentials with several parts in the vault: service accounts and AWS keys.

They are stored through the admin API, the command line and the dashboard.
"""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes.gateway_thread import GatewayThread
from fakes.google_tokens import GoogleTokens
from fakes.scripted_provider import ScriptedProvider, recorded
from typer.testing import CliRunner

from serve.cli.main import build_command_line
from serve.provider_keys.probe import probe_signer
from serve.upstream.signing.aws import AwsSigner
from serve.upstream.signing.google import GoogleSigner
from serve.upstream.signing.stored import AwsKeys, is_aws_pair, read_aws_pair

pytestmark = pytest.mark.slow

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # of AWS's documentation
PAIR = f"AKIAIOSFODNN7EXAMPLE:{SECRET}"
MESSAGES: Any = [{"role": "user", "content": "What is 17 * 23?"}]


@pytest.fixture
def cloud() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as provider:
        yield provider


@pytest.fixture
def tokens() -> Iterator[GoogleTokens]:
    with GoogleTokens() as running:
        yield running


def store(gateway: GatewayThread, status: int, account: str = "default", **body: Any) -> dict[str, Any]:
    answer = httpx.post(f"{gateway.url}/admin/v1/accounts/{account}/provider-keys", json=body, timeout=30)
    assert answer.status_code == status, answer.text
    stored: dict[str, Any] = answer.json()
    return stored


def answered(gateway: GatewayThread, model: str) -> httpx.Response:
    """Ask until the gateway has the first token of the new credentials, which it fetches in the background."""
    ends_at = time.monotonic() + 20
    while True:
        answer = httpx.post(
            f"{gateway.url}/v1/chat/completions", json={"model": model, "messages": MESSAGES}, timeout=30
        )
        if answer.status_code == 200 or time.monotonic() > ends_at:
            return answer


def assert_nowhere(folder: Path, *secrets: str) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            raw = file.read_bytes()
            assert not [secret for secret in secrets if secret.encode() in raw], file


def test_a_stored_service_account_answers_on_vertex_is_tested_and_found_nowhere(
    cloud: ScriptedProvider, tokens: GoogleTokens, tmp_path: Path
) -> None:
    account = tokens.write_account(tmp_path / "account.json").read_text(encoding="utf-8")
    (tmp_path / "account.json").unlink()
    cloud.script = [recorded("gemini/answer.json")]
    base_url = f"{cloud.base_url}/projects/{{project}}/locations/{{location}}"
    (tmp_path / "gateway").mkdir()
    with GatewayThread(tmp_path / "gateway", sandbox="auto") as gateway:
        stored = store(
            gateway,
            201,
            provider="vertex",
            key=json.dumps(json.loads(account), indent=2),
            base_url=base_url,
            region="eu",
        )
        assert "private" not in json.dumps(stored)
        tested = httpx.post(f"{gateway.url}/admin/v1/accounts/default/provider-keys/vertex/main/test").json()
        assert tested["test_outcome"] == "accepted"
        tokens.is_refusing = True
        tested = httpx.post(f"{gateway.url}/admin/v1/accounts/default/provider-keys/vertex/main/test").json()
        assert tested["test_outcome"] == "refused"
        tokens.is_refusing = False
        answer = answered(gateway, "google/gemini-3.8-flash")
        assert answer.headers["x-llmdeal-lane"] == "vertex@main/gemini-3.8-flash"
        assert cloud.headers[-1]["Authorization"].startswith("Bearer token-")
        assert "/projects/a-project/locations/eu/" in cloud.paths[-1]
    assert_nowhere(tmp_path, json.loads(account)["private_key"].splitlines()[1])


def test_a_stored_pair_of_aws_keys_signs_for_bedrock_and_is_found_nowhere(
    cloud: ScriptedProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_BEARER_TOKEN_BEDROCK"):
        monkeypatch.delenv(name, raising=False)
    cloud.script = [recorded("bedrock/answer.json")]
    with GatewayThread(tmp_path, sandbox="auto") as gateway:
        stored = store(gateway, 201, provider="bedrock", key=PAIR, base_url=cloud.base_url, region="eu")
        assert stored["last_four"] == "MPLE"  # of the access key's id: the end of the pair is secret
        assert answered(gateway, "anthropic/claude-opus-5.5").headers["x-llmdeal-lane"].startswith("bedrock@main/")
        authorization = cloud.headers[-1]["Authorization"]
        assert authorization.startswith("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/")
        assert "/eu-central-1/bedrock/aws4_request" in authorization
        other = store(
            gateway, 201, provider="bedrock", key="a-bearer-token-of-bedrock", name="bearer", base_url=cloud.base_url
        )
        assert other["last_four"] == "rock"
    assert_nowhere(tmp_path, SECRET)


def test_other_accounts_cannot_have_the_gateway_ask_a_foreign_endpoint_for_tokens_nor_read_its_files(
    tokens: GoogleTokens, tmp_path: Path
) -> None:
    file = tokens.write_account(tmp_path / "account.json")
    with GatewayThread(tmp_path, sandbox="auto") as gateway:
        httpx.post(f"{gateway.url}/admin/v1/accounts", json={"account": "acme"}).raise_for_status()
        refused = store(gateway, 400, "acme", provider="vertex", key=file.read_text(encoding="utf-8"))
        assert "token_uri" in refused["error"]["message"]
        assert "whole JSON" in store(gateway, 400, "acme", provider="vertex", key=str(file))["error"]["message"]
        for wrong in ('{"type": "none"}', '{"type": "external_account", "credential_source": {"file": "/etc/passwd"}}'):
            assert "service account" in store(gateway, 400, provider="vertex", key=wrong)["error"]["message"]
    assert tokens.n_issued == 0


def test_the_command_line_takes_a_service_account_from_a_file_and_prints_none_of_it(
    tokens: GoogleTokens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMDEAL_DATABASE", str(tmp_path / "llmdeal.db"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    file = tokens.write_account(tmp_path / "account.json")
    run = CliRunner().invoke(
        build_command_line("provider-keys"),
        ["provider-keys", "add", "vertex", "--key-file", str(file), "--region", "eu"],
    )
    assert run.exit_code == 0, run.output
    assert "The provider says: accepted." in run.output
    assert "PRIVATE KEY" not in run.output
    missing = CliRunner().invoke(
        build_command_line("provider-keys"), ["provider-keys", "add", "vertex", "--key-file", str(tmp_path / "none")]
    )
    assert missing.exit_code == 2
    assert "cannot be read" in missing.output


def test_aws_says_whether_it_takes_a_pair() -> None:
    asked: list[tuple[str, bytes]] = []

    class Sts(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            asked.append((self.headers["authorization"], body))
            self.send_response(200 if len(asked) == 1 else 403)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Sts) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        signer = AwsSigner("us-east-1", keys=read_aws_pair(PAIR))
        url = f"http://127.0.0.1:{server.server_port}/"
        assert [probe_signer(signer, url), probe_signer(signer, url)] == ["accepted", "refused"]
        server.shutdown()
    assert asked[0][0].startswith("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/")
    assert "/us-east-1/sts/aws4_request" in asked[0][0]
    assert asked[0][1].startswith(b"Action=GetCallerIdentity")


def test_a_pair_of_aws_keys_is_told_from_a_bearer_token_and_is_not_printed() -> None:
    assert read_aws_pair(f"{PAIR}:token+/=") == AwsKeys("AKIAIOSFODNN7EXAMPLE", SECRET, "token+/=")
    assert SECRET not in repr(read_aws_pair(PAIR))
    assert not is_aws_pair("bedrock-api-key-YmVkcm9jazpleGFtcGxl")


def test_a_service_account_that_is_no_key_is_refused_in_words(tokens: GoogleTokens, tmp_path: Path) -> None:
    account = json.loads(tokens.write_account(tmp_path / "account.json").read_text(encoding="utf-8"))
    with GatewayThread(tmp_path, sandbox="auto") as gateway:
        refused = store(gateway, 400, provider="vertex", key=json.dumps({**account, "private_key": "none of these"}))
        assert "no usable credentials" in refused["error"]["message"]
        assert "none of these" not in refused["error"]["message"]
    assert GoogleSigner(None, account).project == "a-project"
