"""Binding people over the sandbox's PushPlus and the HTTP door: by polling, by callback, once, in time, and their messages."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import uvicorn

from quant_pipeline.door.app import create_app
from quant_pipeline.notify import binding, outbox, receivers, routing
from quant_pipeline.notify.binding import BindingError, Invitation
from quant_pipeline.notify.channels.pushplus import PushPlus
from quant_pipeline.notify.messages import Message
from quant_pipeline.notify.qr_blocks import blocks
from quant_pipeline.notify.severity import Severity
from quant_pipeline.sandbox.rehearsal import Rehearsal
from quant_pipeline.settings import Settings
from quant_pipeline_tests.notify.conftest import Bench

ALL = list(Severity)


def scan(invitation: Invitation, name: str) -> requests.Response:
    """What a phone does: it opens the address that is in the picture (here beside it)."""
    return requests.get(invitation.picture.replace("/qr/", "/scan/").removesuffix(".png"), params={"name": name}, timeout=10)


def nobody(_seconds: float) -> None:
    raise AssertionError("it was to be bound at once")


@pytest.fixture
def account(bench: Bench) -> PushPlus:
    return bench.client


def bind(bench: Bench, name: str, nickname: str, severities: list[Severity] | None = None) -> receivers.Bound:
    invitation = binding.invite(bench.database, bench.client, name, severities or ALL)
    assert scan(invitation, nickname).status_code == 200
    person = binding.await_friend(bench.database, bench.client, invitation, nap=nobody)
    assert person is not None
    return person


def test_who_scans_the_code_is_bound_by_looking_at_the_list(bench: Bench, account: PushPlus) -> None:
    invitation = binding.invite(bench.database, account, "mother", [Severity.CRITICAL])
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        scan(invitation, "妈妈")

    person = binding.await_friend(bench.database, account, invitation, nap=nap)
    assert person is not None
    assert (person.receiver, person.nickname, person.severities, person.bound_by) == ("mother", "妈妈", ["critical"], "polling")
    assert naps == [binding.POLL]
    assert scan(invitation, "somebody else").status_code == 410, "the code is good once"
    assert [each.receiver for each in receivers.bound(bench.database)] == ["mother"]


def test_the_picture_of_the_code_becomes_the_same_code_in_blocks(bench: Bench, account: PushPlus) -> None:
    import segno

    invitation = binding.invite(bench.database, account, "mother", ALL)
    drawn = blocks(binding.picture(invitation))
    assert drawn is not None
    code = segno.make(invitation.picture.replace("/qr/", "/scan/").removesuffix(".png"), error="h")
    lines = drawn.splitlines()
    up = {"█": False, "▄": True, "▀": False, " ": True}
    down = {"█": False, "▄": False, "▀": True, " ": True}
    rows = [[half[character] for character in line] for line in lines for half in (up, down)]
    found = [row[2:-2] for row in rows[2 : 2 + len(code.matrix)]]
    assert found == [[bool(module) for module in row] for row in code.matrix]
    assert blocks(b"no picture") is None


def test_an_invitation_ends_and_only_one_is_open_at_a_time(bench: Bench, account: PushPlus) -> None:
    first = binding.invite(bench.database, account, "mother", ALL)
    with pytest.raises(BindingError, match="another invitation of pushplus is open"):
        binding.invite(bench.database, account, "father", ALL)
    bench.execute("UPDATE invitations SET expires_at = clock_timestamp() RETURNING id")
    assert binding.await_friend(bench.database, account, first, nap=nobody) is None
    scan(first, "too late here")
    second = binding.invite(bench.database, account, "father", ALL)
    scan(second, "爸爸")
    person = binding.await_friend(bench.database, account, second, nap=nobody)
    assert person is not None
    assert person.nickname == "爸爸", "who was a friend before is not he"


def test_a_command_that_is_broken_off_leaves_no_invitation_behind(bench: Bench, account: PushPlus) -> None:
    invitation = binding.invite(bench.database, account, "mother", ALL)

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        binding.await_friend(bench.database, account, invitation, nap=interrupted)
    binding.close(bench.database, binding.invite(bench.database, account, "mother", ALL).id)


def test_what_cannot_be_bound_says_why(bench: Bench, mute: PushPlus) -> None:
    with pytest.raises(BindingError, match="cannot be a receiver's name"):
        binding.invite(bench.database, bench.client, "my mother", ALL)
    with pytest.raises(BindingError, match="set PUSHPLUS_SECRET_KEY"):
        binding.invite(bench.database, mute, "mother", ALL)
    wrong = PushPlus(bench.sandbox.pushplus_token, bench.sandbox.pushplus_url, "another-secret")
    with pytest.raises(BindingError, match="does not list the friends: 401"):
        binding.invite(bench.database, wrong, "mother", ALL)
    assert bench.execute("SELECT count(*) FROM invitations") == [(0,)]


class Door:
    """The HTTP door over the bench's database, and the account's callbacks that come to it."""

    def __init__(self, bench: Bench, url: str) -> None:
        self.bench, self.url = bench, url
        self.path = binding.callback_path(bench.database, "pushplus")

    @property
    def address(self) -> str:
        return f"{self.url}/callbacks/pushplus/{self.path}"

    def post(self, event: Any, path: str | None = None) -> int:
        address = self.address if path is None else f"{self.url}/callbacks/pushplus/{path}"
        return requests.post(address, json=event, timeout=10).status_code


@pytest.fixture
def door(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    values = {
        "PUSHPLUS_TOKEN": bench.sandbox.pushplus_token,
        "PUSHPLUS_SECRET_KEY": bench.sandbox.pushplus_secret,
        "PUSHPLUS_URL": bench.sandbox.pushplus_url,
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    # As one that others can reach: pages want a key there, callbacks bear theirs in the path.
    app = create_app(Settings(), host="0.0.0.0", database=bench.database)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Door(bench, f"http://127.0.0.1:{port}")
    server.should_exit = True
    thread.join(10)


def test_a_callback_binds_at_once_by_its_nonce(bench: Bench, account: PushPlus, door: Door) -> None:
    set_callback(bench.sandbox, door.address)
    invitation = binding.invite(bench.database, account, "mother", [Severity.WARNING, Severity.CRITICAL])
    scan(invitation, "妈妈")
    (person,) = receivers.bound(bench.database)
    assert (person.bound_by, person.severities, person.nickname) == ("callback", ["critical", "warning"], "妈妈")
    same = binding.await_friend(bench.database, account, invitation, nap=nobody)
    assert same == person, "who waits is told"
    assert requests.get(door.url + "/", timeout=10).status_code == 401, "pages want a key"


def test_a_forged_callback_binds_nobody(bench: Bench, account: PushPlus, door: Door) -> None:
    asked: dict[str, str] = {}
    original = account.qr_code
    account.qr_code = lambda nonce, seconds: asked.update(nonce=nonce) or original(nonce, seconds)  # type: ignore[method-assign]
    stranger = bind(bench, "known", "早已绑定")
    invitation = binding.invite(bench.database, account, "mother", ALL)
    friend = {"friendId": 424242, "token": "x", "nickName": "坏人", "isFollow": 1}
    good = {"event": "add_friend", "friendInfo": friend, "qrCode": asked["nonce"]}
    assert door.post(good, path="guessed-path") == 404
    assert door.post(good) == 200  # the path is right, the nonce is right, and nobody of that number is a friend
    assert door.post({**good, "qrCode": "another nonce"}) == 200
    assert door.post({**good, "friendInfo": {"friendId": stranger.friend}}) == 200  # a friend from before
    assert door.post({**good, "friendInfo": "nonsense"}) == 200
    assert door.post([1, 2]) == 400
    assert door.post({"event": "x" * 70_000}) == 413
    assert [each.receiver for each in receivers.bound(bench.database)] == ["known"]
    scan(invitation, "妈妈")
    by_list = next(each for each in account.friends().data if each.name == "妈妈")
    real = {**good, "friendInfo": {"friendId": by_list.id}}
    assert door.post(real) == 200
    assert {each.receiver: each.nickname for each in receivers.bound(bench.database)} == {"known": "早已绑定", "mother": "妈妈"}
    receivers.unbind(bench.database, "mother")
    assert door.post(real) == 200
    assert len(receivers.bound(bench.database)) == 1, "the nonce was good once"
    former = door.path
    door.path = binding.callback_path(bench.database, "pushplus")
    assert door.post(real, path=former) == 404


def test_a_callback_of_a_delivery_has_the_outbox_ask(bench: Bench, door: Door, mute: PushPlus) -> None:
    bench.enqueue("a")
    bench.deliver(mute)
    bench.execute("UPDATE deliveries SET ask_at = clock_timestamp() + interval '1 h' RETURNING id")
    [(receipt,)] = bench.execute("SELECT receipts[1] FROM deliveries")
    door.post({"event": "message_complate", "messageInfo": {"shortCode": receipt, "sendStatus": 3}})
    assert bench.execute("SELECT ask_at <= clock_timestamp(), state FROM deliveries") == [(True, "accepted")], "not believed"
    bench.deliver()
    bench.pass_time("1 min")
    bench.deliver()
    assert bench.execute("SELECT state FROM deliveries") == [("delivered",)]


def test_each_person_gets_his_severities_over_his_own_way_and_nobody_another_s(bench: Bench) -> None:
    bench.sandbox.set_quota("send", None, server="pushplus")
    person = bind(bench, "mother", "妈妈", [Severity.CRITICAL])
    people = receivers.bound(bench.database)
    own = {"pushplus": bench.client}
    channels = {**own, **receivers.ways_to(people, own)}
    tables = receivers.with_people({}, [bench.client], people)

    def told(key: str, severity: Severity) -> None:
        assert bench.put(key, Message("标题", key, severity=severity))
        outbox.deliver(bench.database, list(channels.values()), routing.routes_of(tables, list(channels.values())))

    told("a", Severity.INFO)
    told("b", Severity.CRITICAL)
    pairs = bench.execute(
        "SELECT content, receiver, channel FROM deliveries JOIN messages ON messages.id = message ORDER BY 1, 2"
    )
    assert pairs == [("a", "me", "pushplus"), ("b", "me", "pushplus"), ("b", "mother", "mother@pushplus")]
    page = requests.get(bench.sandbox.inbox_url, timeout=10).text
    assert page.count("pushplus → 妈妈") == 1
    friend = channels[person.way]
    assert (friend.account, friend.limits) == ("pushplus", bench.client.limits), "one account, one limit"
    bench.client.unbind(person.friend)
    fresh = PushPlus(bench.sandbox.pushplus_token, bench.sandbox.pushplus_url, bench.sandbox.pushplus_secret)
    answer = fresh.for_friend("x", person.friend).send(Message("t", "c"))
    assert getattr(answer, "code", "") == "not_bound"


def test_the_file_s_own_receivers_keep_their_ways(bench: Bench) -> None:
    person = receivers.Bound("mother", "pushplus", 7, "妈妈", ["critical"], "polling", binding.dt.datetime.now(binding.dt.UTC))
    own = [bench.client]
    written = {"receivers": {"me": {"severities": ["info"]}, "mother": {"quiet": "22:00-07:00"}}, "routes": []}
    tables = receivers.with_people(written, own, [person])["receivers"]
    assert tables == {
        "me": {"severities": ["info"], "channels": ["pushplus"]},
        "mother": {"severities": ["critical"], "quiet": "22:00-07:00", "channels": ["mother@pushplus"]},
    }
    assert receivers.with_people(written, own, []) == written
    with pytest.raises(receivers.NoReceiver, match="nobody is bound as 'father'; there are none"):
        receivers.unbind(bench.database, "father")


def test_nothing_secret_of_a_binding_is_kept(
    bench: Bench, account: PushPlus, door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    nonces: list[str] = []
    original = account.qr_code
    account.qr_code = lambda nonce, seconds: nonces.append(nonce) or original(nonce, seconds)  # type: ignore[func-returns-value, method-assign]
    with caplog.at_level("DEBUG"):
        person = bind(bench, "mother", "妈妈")
        account.for_friend("x", person.friend).send(Message("t", "c"))
        door.post({"event": "add_friend", "friendInfo": {"friendId": person.friend}, "qrCode": nonces[0]})
    (friend,) = account.friends().data
    kept = str([bench.execute(f"SELECT t::text FROM {table} t") for table in ("receivers", "invitations", "callback_paths")])
    for secret in (friend.token, nonces[0], door.path, bench.sandbox.pushplus_token, bench.sandbox.pushplus_secret):
        assert secret not in kept
    ours = "".join(record.getMessage() for record in caplog.records if not record.name.startswith(("aiohttp", "asyncio")))
    for secret in (friend.token, bench.sandbox.pushplus_secret, account._access_key or "-"):
        assert secret not in ours


def set_callback(sandbox: Rehearsal, url: str) -> None:
    """What a user writes into his account's settings."""
    place = urlsplit(sandbox.pushplus_url).path
    address = sandbox.inbox_url.rstrip("/") + place + "/callback"
    requests.post(address, json={"url": url}, headers=sandbox.control_headers, timeout=10).raise_for_status()
