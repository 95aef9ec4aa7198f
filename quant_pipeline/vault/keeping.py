"""Making a vault's key and going over to another one: the database and the key's place, in an order that survives a kill."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from quant_pipeline.language import told
from quant_pipeline.vault import key_file, keys
from quant_pipeline.vault.errors import VaultError
from quant_pipeline.vault.keys import NAME, NEXT, Key
from quant_pipeline.vault.vault import Vault


@dataclass(frozen=True)
class Rotated:
    """How many records were sealed anew, and where the new key stands now (None: in the environment, to be moved by hand)."""

    records: int
    file: Path | None


def init(vault: Vault) -> Path | None:
    """Makes SECRET_KEY and writes it into `.env`. None: there is one, and it opens this vault.

    VaultError where the vault stands under another key: a new one is never written over that.
    """
    with vault.alone():
        return _init(vault)


def _init(vault: Vault) -> Path | None:
    if os.environ.get(NAME) or key_file.written(NAME):
        vault.check()
        return None
    if vault.records():
        raise VaultError(
            told(
                "the vault holds records under a key that is not set any more: set that SECRET_KEY again; or, where it is "
                "lost, `quant-pipeline vault forget --all` empties the vault, and `quant-pipeline vault init` makes a new key"
            )
        )
    vault.forget_all()  # at most the seal of a key that nothing was kept under
    return key_file.write({NAME: keys.made().reveal()})


def rotate(vault: Vault) -> Rotated:
    """Goes over to a new key. A process that dies on the way leaves a vault that opens: run it again, and it is finished.

    The new key is written beside the former one, then everything is sealed anew, then it takes the former one's place. Where
    SECRET_KEY comes from the environment, the new one has to stand in SECRET_KEY_NEXT, and is moved by hand. VaultError.
    """
    with vault.alone():
        return _rotate(vault)


def _rotate(vault: Vault) -> Rotated:
    if os.environ.get(NAME):
        ring = keys.known()
        if len(ring) < 2:
            raise VaultError(
                told(
                    "SECRET_KEY comes from the environment, where no command can change it: set SECRET_KEY_NEXT beside it "
                    "(`quant-pipeline vault init --print` shows a new key), run this again, then set SECRET_KEY to it"
                )
            )
        return Rotated(vault.rotate(ring[1]), None)
    vault.check()
    begun = key_file.written(NEXT)
    following = Key(begun, NEXT) if begun else keys.made()
    if not begun:
        key_file.write({NEXT: following.reveal()})
    records = vault.rotate(following)
    return Rotated(records, key_file.write({NAME: following.reveal(), NEXT: None}))
