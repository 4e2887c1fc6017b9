"""AES-256-GCM with a fresh nonce before the ciphertext (NIST SP 800-38D).

The library is imported when the first secret is sealed or opened: OpenSSL takes seven megabytes.
"""

import os

_NONCE_BYTES = 12


def encrypt(key: bytes, text: bytes, belonging: bytes) -> bytes:
    """Return nonce | ciphertext of `text`. It can be decrypted only with the same `belonging`."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, text, belonging)


def decrypt(key: bytes, sealed: bytes, belonging: bytes) -> bytes | None:
    """Return the text that was encrypted; None: the key or `belonging` is another one, or `sealed` is damaged."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], belonging)
    except (InvalidTag, ValueError):
        return None
