"""The keys that the vault may be opened with, and what is derived from them: SECRET_KEY, and during a rotation the next one."""

from __future__ import annotations

import base64
import functools
import hashlib
import secrets
from collections.abc import Iterator

from cryptography.fernet import Fernet
from pydantic import SecretStr

from quant_pipeline import settings
from quant_pipeline.language import told
from quant_pipeline.vault.errors import NoKey, WeakKey

NAME = "SECRET_KEY"
NEXT = "SECRET_KEY_NEXT"
"""What a rotation goes over to: it stands beside the other until the rotation is through, so that none is ever lost."""
ITERATIONS = 600_000
"""Of PBKDF2-HMAC-SHA256, for a record that is sealed now; each record says how many it was sealed with."""
SALT_BYTES = 16
_SHORTEST, _DIFFERENT = 32, 10
_KEPT = 512


class Key:
    """A key that is strong enough. It does not print."""

    def __init__(self, text: str, name: str = NAME) -> None:
        """`name`: the variable that it comes from, for the errors. WeakKey."""
        if len(text) < _SHORTEST:
            raise WeakKey(name, told("{count} characters; at least {least} are wanted", count=len(text), least=_SHORTEST))
        if len(set(text)) < _DIFFERENT:
            raise WeakKey(name, told("it repeats the same {count} characters", count=len(set(text))))
        self._text = text

    def fernet(self, salt: bytes, iterations: int) -> Fernet:
        """What opens and seals the record of that salt. The derivation takes a third of a second, once in a process."""
        return _fernet(self._text, salt, iterations)

    def reveal(self) -> str:
        """The key itself, for the file that it is written into."""
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and secrets.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Key(***)"


def made() -> Key:
    """A new key: 256 random bits."""
    return Key(secrets.token_urlsafe(32))


def known() -> list[Key]:
    """SECRET_KEY, and SECRET_KEY_NEXT where a rotation is under way, as they are set now. NoKey, WeakKey."""
    current = settings.load()
    return [*_given(current.secret_key, current.secret_key_next)]


def _given(key: SecretStr | None, following: SecretStr | None) -> Iterator[Key]:
    if key is None:
        raise NoKey
    yield Key(key.get_secret_value())
    if following is not None:
        yield Key(following.get_secret_value(), NEXT)


@functools.lru_cache(maxsize=_KEPT)
def _fernet(text: str, salt: bytes, iterations: int) -> Fernet:
    derived = hashlib.pbkdf2_hmac("sha256", text.encode(), salt, iterations)
    return Fernet(base64.urlsafe_b64encode(derived))
