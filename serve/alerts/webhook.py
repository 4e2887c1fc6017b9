"""Signs and sends webhooks as the specification Standard Webhooks says (standardwebhooks.com, v1, read 2026-11-24)."""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from serve.errors import ConfigurationError
from serve.upstream.destination import Destination
from serve.upstream.transport import Deadlines, TransportError, UpstreamTransport

_PREFIX: Final = "whsec_"
_LEAST_BYTES, _MOST_BYTES = 24, 64
_DEADLINES: Final = Deadlines(connect_s=5.0, read_s=15.0, total_s=20.0)


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """The target of webhooks.

    Args:
        url: URL of the operator's receiver, http or https.
        secret: Secret that webhooks are signed with, 24 to 64 bytes.
    """

    url: str
    secret: bytes = field(repr=False)

    @property
    def shown(self) -> str:
        """Scheme and host, for logs. Paths and queries of such URLs are often secrets."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}"


def read_secret(text: str, where: str) -> bytes:
    """Return the bytes of a secret: `whsec_` and base64 of 24 to 64 bytes.

    Raises:
        ConfigurationError: The text has another form. The message names `where`, never the text.
    """
    try:
        secret = base64.b64decode(text.strip().removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not text.strip().startswith(_PREFIX) or not _LEAST_BYTES <= len(secret) <= _MOST_BYTES:
        raise ConfigurationError(
            f"{where}: a webhook's secret is {_PREFIX} and base64 of {_LEAST_BYTES} to {_MOST_BYTES} bytes. "
            f"Make one with 'echo \"{_PREFIX}$(openssl rand -base64 32)\"'"
        )
    return secret


def signed_headers(secret: bytes, webhook_id: str, sent_at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers that prove to a receiver that a webhook is ours, complete, and not an old one sent again."""
    timestamp = str(int(sent_at.timestamp()))
    signed = hmac.new(secret, f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }


async def send_webhook(
    transport: UpstreamTransport, target: WebhookTarget, webhook_id: str, body: bytes, sent_at: datetime
) -> str | None:
    """Send a webhook; return None if the receiver took it (2xx), else the problem, in a text without secrets.

    Redirects are not followed; they count as a problem, like every answer that is not 2xx.
    """
    headers = {"content-type": "application/json", "user-agent": "llmdeal"}
    headers |= signed_headers(target.secret, webhook_id, sent_at, body)
    try:
        response = await transport.post(Destination(target.url, headers), {}, body, _DEADLINES)
    except TransportError as error:
        return str(error) or type(error).__name__
    response.close()
    return None if 200 <= response.status < 300 else f"it answered {response.status}"
