"""Proofs of other vendors' thoughts, in a field that clients of a dialect send back unread.

Responses: `encrypted_content` of a reasoning item. Messages: `data` of a redacted thought.
"""

import base64
from typing import Literal

import msgspec
from msgspec import Struct

from router.lane import Capability
from serve.dialects.neutral.parts import ReasoningPart
from serve.dialects.thoughts import capability_of_vendor
from serve.errors import BadRequestError

_MARK = "llmdeal."
OPENAI = "openai"
_GOOGLE = "google"


class CarriedThought(Struct):
    """What is carried.

    Args:
        vendor: Who can read it.
        kind: `signature` of the text beside it, `hidden` thoughts, or the signature of a `call`.
        data: As the vendor gave it.
        call_id: Of the call.
    """

    vendor: str
    kind: Literal["signature", "hidden", "call"]
    data: str
    call_id: str | None = None

    def encode(self) -> str:
        """Return it as the field holds it."""
        return _MARK + base64.urlsafe_b64encode(msgspec.json.encode(self)).decode()


def carried_call(call_id: str, signature: str) -> str:
    """Return the signature of a call, as the field holds it: only Gemini signs calls."""
    return CarriedThought(_GOOGLE, "call", signature, call_id).encode()


def carried_by(text: str, owner: str, param: str) -> CarriedThought:
    """Return what such a field carries.

    Args:
        text: Content of the field in the request.
        owner: Vendor of the thoughts in a field that the gateway did not write.
        param: Name of the field, for the error.

    Raises:
        BadRequestError: The gateway wrote the field, and it was changed since.
    """
    if not text.startswith(_MARK):
        return CarriedThought(owner, "hidden", text)
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text[len(_MARK) :]), type=CarriedThought)
    except (ValueError, msgspec.MsgspecError) as error:
        raise BadRequestError(
            f"a hidden thought was changed on the way ({type(error).__name__}): send it back as it came", param=param
        ) from None


def capability_to_read(text: str, owner: str, param: str) -> Capability:
    """Return what a lane needs to read the thought in such a field; see `carried_by`."""
    return capability_of_vendor(carried_by(text, owner, param).vendor)


def carried_for(part: ReasoningPart) -> str | None:
    """Return the `encrypted_content` for a thought; None: nobody signed it."""
    if part.vendor is None:
        return None
    if part.encrypted is not None:
        return (
            part.encrypted if part.vendor == OPENAI else CarriedThought(part.vendor, "hidden", part.encrypted).encode()
        )
    return None if part.signature is None else CarriedThought(part.vendor, "signature", part.signature).encode()
