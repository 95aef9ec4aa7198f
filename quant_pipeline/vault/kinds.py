"""The kinds of secrets that the vault holds: one word each, as `quant-pipeline vault list` shows them."""

from __future__ import annotations

from typing import Final

TOKEN: Final = "token"
"""Of a channel: `vault:NAME` in QUANT_CHANNELS."""
THS_SESSION: Final = "ths_session"
"""Cookies of a THS account."""
THS_PASSWORD: Final = "ths_password"
"""A THS account's name and password, where its owner asked to keep it."""
THS_MOBILE: Final = "ths_mobile"
"""The mobile number that a THS account logs in with by SMS."""
THS_CODE: Final = "ths_code"
"""A code out of an SMS, for some minutes."""
THS_SMS: Final = "ths_sms"
"""The conversation in which a code was asked for, for some minutes."""
THS_COOKIES: Final = "ths_cookies"
"""Cookies that wait to be imported, for some minutes."""
