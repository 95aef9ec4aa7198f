"""Why the vault cannot do what it was asked for, in words; never a secret, never a key."""

from __future__ import annotations

from quant_pipeline.language import told


class VaultError(RuntimeError):
    """The vault refuses; the text says why and what to do. Nothing was changed."""


class NoKey(VaultError):
    """SECRET_KEY is not set."""

    def __init__(self) -> None:
        super().__init__(
            told(
                "SECRET_KEY is not set, and without it nothing secret is kept or read: `quant-pipeline vault init` makes one "
                "and writes it into .env"
            )
        )


class WeakKey(VaultError):
    """SECRET_KEY is one that could be guessed."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(
            told(
                "{name} is too weak ({why}), nothing was changed: take it out of .env or the environment, and "
                "`quant-pipeline vault init` makes a good one",
                name=name,
                why=why,
            )
        )


class WrongKey(VaultError):
    """The vault was made under another key."""

    def __init__(self) -> None:
        super().__init__(
            told(
                "SECRET_KEY is not the key that this vault was made with; nothing was changed. Set that key again. Where it is "
                "lost, so is what the vault holds: `quant-pipeline vault forget --all` empties it, `quant-pipeline vault init` "
                "makes a new key where none is set, and you log in again"
            )
        )


class NoRecord(VaultError):
    """The vault holds nothing of that kind and name (or no longer)."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(told("the vault holds no {kind} named {name}: see `quant-pipeline vault list`", kind=kind, name=name))


class Damaged(VaultError):
    """A record that the vault's own key does not open, or that stood under another name."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(
            told(
                "the record {kind} {name} was changed from outside and cannot be used: `quant-pipeline vault forget {kind} "
                "{name}`, then give it again",
                kind=kind,
                name=name,
            )
        )
