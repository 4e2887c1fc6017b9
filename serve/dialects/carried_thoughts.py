"""Signed or hidden thoughts of other vendors, in a field that clients send back without reading it.

A model's thoughts must come back to its vendor with the vendor's signature. A dialect has no field for the signatures
of another vendor, so the gateway writes them into one that clients return as it is: in Responses, `encrypted_content`
of a reasoning item; in Messages, `data` of a redacted thought.
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
    """The content of such a field.

    Args:
        vendor: Vendor that can read the data.
        kind: `signature` of the text next to it, `hidden` thoughts, or the signature of a `call`.
        data: The vendor's signature or hidden thoughts, unchanged.
        call_id: Id of the call. None: the data belongs to no call.
    """

    vendor: str
    kind: Literal["signature", "hidden", "call"]
    data: str
    call_id: str | None = None

    def encode(self) -> str:
        """Return the text for the field."""
        return _MARK + base64.urlsafe_b64encode(msgspec.json.encode(self)).decode()


def carried_call(call_id: str, signature: str) -> str:
    """Return the text for the field that carries the signature of a call. Only Gemini signs calls."""
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
            f"a hidden thought was changed on the way ({type(error).__name__}). Send it back as it came.", param=param
        ) from None


def capability_to_read(text: str, owner: str, param: str) -> Capability:
    """Return what a lane needs to read the thought in such a field; see `carried_by`."""
    return capability_of_vendor(carried_by(text, owner, param).vendor)


def carried_for(part: ReasoningPart) -> str | None:
    """Return the `encrypted_content` for a thought. None: it is neither signed nor hidden."""
    if part.vendor is None:
        return None
    if part.encrypted is not None:
        return (
            part.encrypted if part.vendor == OPENAI else CarriedThought(part.vendor, "hidden", part.encrypted).encode()
        )
    return None if part.signature is None else CarriedThought(part.vendor, "signature", part.signature).encode()
