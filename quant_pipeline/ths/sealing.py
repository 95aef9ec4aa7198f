"""RSA, as THS's logins want names, passwords and codes: PKCS#1 v1.5 under a public key that its server gives."""

from __future__ import annotations

import base64
import binascii
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from quant_pipeline.language import told
from quant_pipeline.ths.errors import Failure, ThsError
from quant_pipeline.ths.line import Line, unreadable


@dataclass(frozen=True)
class Seal:
    """The server's public key, and the name that it has for it."""

    version: str
    _key: rsa.RSAPublicKey

    def sealed(self, text: str) -> str:
        """The text for the holder of the key only, in base64."""
        return base64.b64encode(self._key.encrypt(text.encode(), padding.PKCS1v15())).decode()


def seal(line: Line) -> Seal:
    """Asks for the key. ThsError."""
    item = verified(line, reqtype="do_rsa", type="get_pubkey")
    return Seal(item.get("rsa_version", ""), _key_of(item.get("pubkey", "")))


def verified(line: Line, **asked: str) -> dict[str, str]:
    """The item of an answer of `verify2`, by attribute. ThsError (refused) with the server's words for a code that is not 0."""
    answer = line.get(line.hosts.auth + "/verify2", asked)
    try:
        root = ET.fromstring(answer.content)
    except ET.ParseError:
        raise unreadable() from None
    ret, item = root.find(".//ret"), root.find(".//item")
    if ret is None:
        raise unreadable()
    if ret.get("code") != "0":
        words = line.said(ret.get("msg")) or "-"
        raise ThsError(Failure.REFUSED, told("THS refused: {text} ({code})", text=words, code=ret.get("code")))
    return dict(item.attrib) if item is not None else {}


def _key_of(pem: str) -> rsa.RSAPublicKey:
    """XML flattens the PEM's lines: what stands between its marks is read without them."""
    body = re.sub(r"-----[^-]+-----|\s", "", pem)
    try:
        key = load_der_public_key(base64.b64decode(body, validate=True))
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        raise unreadable() from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise unreadable()
    return key
