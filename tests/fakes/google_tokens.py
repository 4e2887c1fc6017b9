"""A real local token endpoint like Google's: it checks the signed assertion and returns tokens, or refuses."""

import base64
import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa


class GoogleTokens:
    """Returns `token-1`, `token-2`, … for assertions that are signed with its service account's key."""

    def __init__(self, lifetime_s: int = 3_600) -> None:
        self.lifetime_s = lifetime_s
        self.is_refusing = False
        self.n_issued = 0
        self.assertions: list[dict[str, Any]] = []
        self._key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                fields = urllib.parse.parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
                status, body = owner.answer(fields["assertion"][0])
                raw = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def answer(self, assertion: str) -> tuple[int, dict[str, Any]]:
        signed, _, signature = assertion.rpartition(".")
        self._key.public_key().verify(_decode(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        self.assertions.append(json.loads(_decode(signed.split(".")[1])))
        if self.is_refusing:
            return 400, {"error": "invalid_grant", "error_description": "the account is gone"}
        self.n_issued += 1
        return 200, {"access_token": f"token-{self.n_issued}", "expires_in": self.lifetime_s, "token_type": "Bearer"}

    def write_account(self, file: Path, project: str = "a-project") -> Path:
        """Write the service account's file."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        account = {
            "type": "service_account",
            "project_id": project,
            "private_key_id": "1",
            "private_key": pem,
            "client_email": "gateway@a-project.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": f"http://127.0.0.1:{self._server.server_port}/token",
        }
        file.write_text(json.dumps(account), encoding="utf-8")
        return file

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
