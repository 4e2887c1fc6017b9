"""AES-256-GCM with a fresh nonce before the ciphertext (NIST SP 800-38D). Loaded when something is sealed or opened: OpenSSL takes seven megabytes."""

import os

_NONCE_BYTES = 12


def encrypt(key: bytes, text: bytes, belonging: bytes) -> bytes:
    """Return nonce | ciphertext of `text`, which opens only together with `belonging`."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, text, belonging)


def decrypt(key: bytes, sealed: bytes, belonging: bytes) -> bytes | None:
    """Return what was encrypted; None: another key, another belonging, or damage."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], belonging)
    except (InvalidTag, ValueError):
        return None
