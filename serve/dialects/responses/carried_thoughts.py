"""Proofs of other vendors' thoughts, in the one field that clients of this dialect send back unread: `encrypted_content` of a reasoning item."""

import base64
import binascii
from typing import Literal

import msgspec
from msgspec import Struct

from serve.dialects.neutral.parts import ReasoningPart

_MARK = "llmdeal."
OPENAI = "openai"
"""Whose thoughts `encrypted_content` holds where it is not marked."""


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
        """Return it as `encrypted_content`."""
        return _MARK + base64.urlsafe_b64encode(msgspec.json.encode(self)).decode()


def carried_by(encrypted_content: str) -> CarriedThought:
    """Return what `encrypted_content` carries; what is not marked as ours is OpenAI's own.

    Raises:
        ValueError: It is marked as ours and was changed on the way.
    """
    if not encrypted_content.startswith(_MARK):
        return CarriedThought(OPENAI, "hidden", encrypted_content)
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(encrypted_content[len(_MARK) :]), type=CarriedThought)
    except (binascii.Error, msgspec.MsgspecError) as error:
        raise ValueError(f"encrypted_content was changed on the way ({type(error).__name__}): send it back as it came") from None


def carried_for(part: ReasoningPart) -> str | None:
    """Return the `encrypted_content` for a thought; None: nobody signed it."""
    if part.vendor is None:
        return None
    if part.encrypted is not None:
        return part.encrypted if part.vendor == OPENAI else CarriedThought(part.vendor, "hidden", part.encrypted).encode()
    return None if part.signature is None else CarriedThought(part.vendor, "signature", part.signature).encode()
