"""The key pair that passwords, mobile numbers and codes are sent under to the simulated 同花顺."""

from __future__ import annotations

import base64
from functools import cached_property

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

VERSION = "default_5"


class KeyPair:
    """Made when it is first asked for."""

    @cached_property
    def _private(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(65537, 2048)

    @cached_property
    def public(self) -> str:
        """The PEM, as an XML attribute flattens it: its line ends are blanks."""
        form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        return self._private.public_key().public_bytes(*form).decode().strip().replace("\n", " ")

    def opened(self, sealed: str) -> str:
        """What was sent; "" where it was not sealed for this key."""
        try:
            return self._private.decrypt(base64.b64decode(sealed, validate=True), padding.PKCS1v15()).decode()
        except ValueError:
            return ""
