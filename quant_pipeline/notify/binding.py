"""Binding a friend to a PushPlus account: an invitation shown as a QR code, and taken when he has scanned it.

PushPlus tells of a friend in two ways. A callback brings the invitation's nonce, but is not signed: so it comes by a secret
path, its nonce is good once and for some minutes, and the friend must stand in the account's own list. Where no callback
can reach us the list is asked again and again: one invitation at a time, and who is new in the list is he.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from quant_pipeline.language import say
from quant_pipeline.notify.channels.pushplus import Friend, PushPlus
from quant_pipeline.notify.receivers import Bound
from quant_pipeline.notify.severity import Severity
from quant_pipeline.warehouse.database import Database

MINUTES = 10
POLL = 3.0
"""Seconds between two looks at the list of friends."""
_PICTURE_TIMEOUT, _LARGEST_PICTURE = 10.0, 2**20
_NAME = re.compile(r"[\w-]{1,40}")

_OPEN = "closed_at IS NULL AND expires_at > clock_timestamp()"
_INVITE = f"""
INSERT INTO invitations (nonce_hash, channel, receiver, severities, friends_before, expires_at)
SELECT %(nonce)s, %(channel)s, %(receiver)s, %(severities)s, %(before)s, clock_timestamp() + %(life)s
WHERE NOT EXISTS (SELECT FROM invitations WHERE channel = %(channel)s AND {_OPEN})
RETURNING id
"""
_ALONE = "SELECT pg_advisory_xact_lock(hashtext('invitations'), hashtext(%s))"
_CLOSE = "UPDATE invitations SET closed_at = clock_timestamp() WHERE id = %s AND closed_at IS NULL"
# Whoever closes it binds: a callback and a look at the list may come at once.
_TAKE = f"""
UPDATE invitations SET closed_at = clock_timestamp() WHERE id = %s AND {_OPEN} RETURNING receiver, channel, severities
"""
_BIND = """
INSERT INTO receivers (receiver, channel, friend, nickname, severities, bound_by) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (receiver) DO UPDATE SET channel = excluded.channel, friend = excluded.friend, nickname = excluded.nickname,
    severities = excluded.severities, bound_by = excluded.bound_by, bound_at = clock_timestamp()
RETURNING receiver, channel, friend, nickname, severities, bound_by, bound_at
"""
_BY_NONCE = f"SELECT id, friends_before FROM invitations WHERE channel = %s AND nonce_hash = %s AND {_OPEN}"
_BOUND_SINCE = """
SELECT person.receiver, person.channel, friend, nickname, person.severities, bound_by, bound_at
FROM receivers AS person JOIN invitations USING (receiver, channel) WHERE id = %s AND bound_at >= made_at
"""
_TAKEN = "SELECT friend FROM receivers WHERE channel = %s"
_SET_PATH = """
INSERT INTO callback_paths (channel, path_hash) VALUES (%s, %s)
ON CONFLICT (channel) DO UPDATE SET path_hash = excluded.path_hash, made_at = clock_timestamp()
"""
_PATH = "SELECT channel FROM callback_paths WHERE path_hash = %s"
_ASK = "UPDATE deliveries SET ask_at = clock_timestamp() WHERE state = 'accepted' AND %s = ANY(receipts)"


class BindingError(RuntimeError):
    """The binding cannot be made; the text says why, and what to do. Nothing was changed."""


@dataclass(frozen=True)
class Invitation:
    """A code that is to be scanned; `picture` is the address of its image at PushPlus."""

    id: int
    receiver: str
    channel: str
    picture: str
    expires_at: dt.datetime


def invite(
    database: Database, account: PushPlus, receiver: str, severities: Collection[Severity], minutes: int = MINUTES
) -> Invitation:
    """Opens an invitation for the person that is to be called `receiver`. BindingError."""
    if not _NAME.fullmatch(receiver):
        raise BindingError(say("{name!r} cannot be a receiver's name: write letters, digits, - and _", name=receiver))
    if not account.polls:
        raise BindingError(say("{channel} has no secret key: set PUSHPLUS_SECRET_KEY to bind friends", channel=account.name))
    listed = account.friends()
    if not listed.success:
        raise BindingError(say("PushPlus does not list the friends: {why}", why=f"{listed.error_code} {listed.error_message}"))
    nonce, life = secrets.token_urlsafe(18), dt.timedelta(minutes=minutes)
    values = {
        "nonce": _hash(nonce),
        "channel": account.name,
        "receiver": receiver,
        "severities": sorted(severities),
        "before": [friend.id for friend in listed.data],
        "life": life,
    }
    with database.connect() as connection:
        connection.execute(_ALONE, (account.name,))
        row = connection.execute(_INVITE, values).fetchone()
    if row is None:
        raise BindingError(say("another invitation of {channel} is open: wait until it is taken or ends", channel=account.name))
    made = account.qr_code(nonce, int(life.total_seconds()))
    if not made.success or not made.data:
        close(database, row[0])
        raise BindingError(say("PushPlus made no code: {why}", why=f"{made.error_code} {made.error_message}"))
    return Invitation(row[0], receiver, account.name, made.data, dt.datetime.now(dt.UTC) + life)


def picture(invitation: Invitation) -> bytes:
    """The image of its code. BindingError where PushPlus does not give it: its address can be opened in a browser."""
    import requests

    from quant_pipeline.sources import bounded_http

    try:
        answer = bounded_http.request("GET", invitation.picture, timeout=_PICTURE_TIMEOUT, largest=_LARGEST_PICTURE)
    except requests.RequestException as error:
        raise BindingError(say("the picture cannot be had: {why}", why=bounded_http.fault_in_words(error))) from None
    return answer.content


def close(database: Database, invitation: int) -> None:
    """Ends an invitation that nobody took."""
    with database.connect() as connection:
        connection.execute(_CLOSE, (invitation,))


def await_friend(
    database: Database, account: PushPlus, invitation: Invitation, *, nap: Callable[[float], None] = time.sleep
) -> Bound | None:
    """Waits until the invitation is taken (the list says so, or a callback was faster); None when it ended without that."""
    try:
        while True:
            if (person := look(database, account, invitation)) is not None:
                return person
            if not _is_open(database, invitation):
                return None
            nap(POLL)
    finally:
        close(database, invitation.id)


def look(database: Database, account: PushPlus, invitation: Invitation) -> Bound | None:
    """Looks once whether somebody took it. Of a list that cannot be had nothing is concluded."""
    with database.connect() as connection:
        already = connection.execute(_BOUND_SINCE, (invitation.id,)).fetchone()
        if already is not None:
            return Bound(*already)
        before = connection.execute("SELECT friends_before FROM invitations WHERE id = %s", (invitation.id,)).fetchall()[0][0]
        taken = {friend for (friend,) in connection.execute(_TAKEN, (account.name,)).fetchall()}
    listed = account.friends()
    if not listed.success:
        return None
    new = [friend for friend in listed.data if friend.id not in before and friend.id not in taken]
    return _bind(database, invitation.id, new[0], "polling") if len(new) == 1 else None


def callback_path(database: Database, channel: str) -> str:
    """A new secret path for the account's callbacks; the former one is good no more. Only its hash is kept."""
    path = secrets.token_urlsafe(24)
    with database.connect() as connection:
        connection.execute(_SET_PATH, (channel, _hash(path)))
    return path


def account_of(database: Database, path: str) -> str | None:
    """The account whose callbacks come by this path; None: nobody's."""
    with database.connect() as connection:
        row = connection.execute(_PATH, (_hash(path),)).fetchone()
    return str(row[0]) if row is not None else None


def called_back(database: Database, account: PushPlus, event: Mapping[str, Any]) -> Bound | None:
    """What a callback tells: a new friend is bound where his invitation is good and the account's list has him; of a delivery
    the outbox asks itself. It is believed in nothing else."""
    match event.get("event"):
        case "add_friend":
            return _added(database, account, event)
        case "message_complate" | "message_complete":  # the first is how PushPlus writes it
            told_of = event.get("messageInfo")
            code = told_of.get("shortCode") if isinstance(told_of, Mapping) else None
            if code:
                with database.connect() as connection:
                    connection.execute(_ASK, (str(code),))
    return None


def _added(database: Database, account: PushPlus, event: Mapping[str, Any]) -> Bound | None:
    info = event.get("friendInfo")
    number = info.get("friendId") if isinstance(info, Mapping) else None
    nonce = event.get("qrCode")
    if not isinstance(nonce, str) or not str(number).isdecimal():
        return None
    with database.connect() as connection:
        row = connection.execute(_BY_NONCE, (account.name, _hash(nonce))).fetchone()
    if row is None:
        return None
    listed = account.friends()
    friend = next((each for each in listed.data or () if each.id == int(str(number))), None) if listed.success else None
    if friend is None or friend.id in row[1]:
        return None
    return _bind(database, row[0], friend, "callback")


def _bind(database: Database, invitation: int, friend: Friend, how: str) -> Bound | None:
    """Takes the invitation and binds the friend, both or none; None where another was faster."""
    with database.connect() as connection:
        taken = connection.execute(_TAKE, (invitation,)).fetchone()
        if taken is None:
            return None
        receiver, channel, severities = taken
        values = (receiver, channel, friend.id, friend.name, severities, how)
        row = connection.execute(_BIND, values).fetchall()[0]
    return Bound(*row)


def _is_open(database: Database, invitation: Invitation) -> bool:
    with database.connect() as connection:
        row = connection.execute(f"SELECT FROM invitations WHERE id = %s AND {_OPEN}", (invitation.id,)).fetchone()
    return row is not None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
