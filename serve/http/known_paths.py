"""Paths of the public API: in one spelling, with what is not offered, and with the nearest one to a misspelt path."""

import re
from difflib import get_close_matches
from typing import Final

_SLASHES = re.compile("/{2,}")
_NOT_OFFERED: Final = {
    "/v1/assistants": "assistants",
    "/v1/audio": "audio",
    "/v1/batches": "batches",
    "/v1/complete": "Anthropic's older text completions",
    "/v1/containers": "containers",
    "/v1/conversations": "stored conversations",
    "/v1/evals": "evals",
    "/v1/files": "files",
    "/v1/fine_tuning": "fine-tuning",
    "/v1/images": "images",
    "/v1/messages/batches": "batches",
    "/v1/moderations": "moderations",
    "/v1/organizations": "the administration of organisations at a provider",
    "/v1/realtime": "realtime sessions",
    "/v1/rerank": "reranking",
    "/v1/skills": "skills",
    "/v1/threads": "threads",
    "/v1/uploads": "uploads",
    "/v1/vector_stores": "vector stores",
    "/v1/videos": "videos",
    "/v1beta": "Gemini's own dialect for callers",
}
"""Paths of the APIs of OpenAI, Anthropic and Google that clients may ask for, with what they are about."""
_OFFERED: Final = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/feedback",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/models",
    "/v1/responses",
    "/v1/responses/input_tokens",
    "/v1/route",
)


def one_spelling(path: str) -> str:
    """Return a path without double slashes, without a slash at its end, and without a second `/v1`.

    Base URLs that end in `/` or in `/v1` make such paths.
    """
    path = _SLASHES.sub("/", path)
    if path.startswith("/v1/v1/"):
        path = path[3:]
    return path.rstrip("/") or "/"


def nothing_at(path: str) -> str:
    """Return the message for a path with nothing at it."""
    for prefix, about in _NOT_OFFERED.items():
        if path == prefix or path.startswith(prefix + "/"):
            return f"{prefix} is not offered here: this gateway has no {about}. Ask the provider itself."
    if re.fullmatch(r"/v1/responses/[^/]+(?:/.*)?", path):
        return "stored responses are not offered here: nothing is kept. Send the whole conversation in input."
    close = get_close_matches(path if path.startswith("/v1") else "/v1" + path, _OFFERED, n=1, cutoff=0.8)
    return f"there is nothing at {path!r}." + (f" Did you mean {close[0]}?" if close else "")
