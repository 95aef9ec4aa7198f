"""The messages' texts: markdown for a phone, in Chinese with the English terms (in English where QUANT_LANG says so)."""

from __future__ import annotations

import datetime as dt
import functools
import json
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec

import polars as pl

from quant_pipeline.language import marked, of_messages, say, say_many, speaking
from quant_pipeline.market import clock
from quant_pipeline.notify.severity import Severity
from quant_pipeline.retelling import retold
from quant_pipeline.warehouse.screenings import Compared

LISTED_HITS = 30
RUN_FAILED = "run_failed"
"""The kind of what is told of a failed run."""
_LISTED_CHECKS = 20
_LISTED_SOURCES = 20
_LISTED_DIFFERENCES = 20
_LISTED_HOLDINGS = 10
_LISTED_FOLDED = 100
_LONGEST_CAUSE = 1_500
_LONGEST_LINE = 200
_LONGEST_TITLE = 80
_SANDBOX = marked("[SANDBOX] ")
_SIMULATED = marked("> **SANDBOX**: simulated market, these numbers are made up.")
_ENTRIES = marked("… {count} in all")
_HITS = marked("… {count} hits in all")
_MARKUP = re.compile(r"([\\`*_\[\]<>|~&])")
_URL_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")
_NAMED_SECRET = re.compile(
    r"""(?i)((?:token|secret|password|passwd|cookie|api_?key|access_?key)\w{0,20}["']?\s*[:=]\s*["']?)[^\s"',;&]{6,}"""
)


Parts = ParamSpec("Parts")


@dataclass(frozen=True)
class Message:
    """What a person is told; `template` says what the content is written in (markdown, html, txt).

    `severity` and `kind` are what routes choose by; messages of one `topic` are the same alert again ("": none is like it).
    """

    title: str
    content: str
    template: str = "markdown"
    severity: Severity = Severity.WARNING
    kind: str = "other"
    topic: str = ""


def _spoken(write: Callable[Parts, Message]) -> Callable[Parts, Message]:
    """Messages are read on a phone, later: they have a language of their own."""

    @functools.wraps(write)
    def written(*arguments: Parts.args, **named: Parts.kwargs) -> Message:
        with speaking(of_messages()):
            return write(*arguments, **named)

    return written


@_spoken
def run_failed(
    *, job: str, step: str, run_id: str, cause: str, ui_url: str, units_url: str, sandbox: bool, command: str = ""
) -> Message:
    """A run failed; `step` is empty when it died outside of any. `units_url`: the page of all its units, the failed first.

    `command`: what the user typed, where the run is a part of that: it is called by it.
    """
    lines = [
        *([say("- Command: {command}", command=_inline(command))] if command else []),
        say("- Job: {job}", job=_inline(job)),
        *([say("- Step: {step}", step=_inline(step))] if step else []),
        say("- Cause:"),
        "",
        _block(cause),
        "",
        say("**What to do**"),
        "",
        say("1. Open the run and read its log (the link is below)."),
        say("2. Mend the cause and run the command again; committed data are not fetched again.")
        if command
        else say("2. Mend the cause and press Re-execute; committed data are not fetched again."),
        "",
        say("[All that failed]({url})", url=units_url) + " · " + _run_link(ui_url, run_id),
    ]
    title = say("Run failed: {job}", job=command or job)
    return _message(title, lines, sandbox, Severity.CRITICAL, RUN_FAILED, f"{RUN_FAILED}:{job}")


@_spoken
def screen_ready(
    *,
    strategy: str,
    session: dt.date,
    hits: pl.DataFrame,
    compared: Compared | None,
    page_url: str,
    run_id: str,
    ui_url: str,
    sandbox: bool,
) -> Message:
    """A session's screen: the first `LISTED_HITS` hits as a table, and links to its page and its run.

    `hits`, best first: ts_code, name, close (元), pct_chg (%), score, industry, figures (JSON text of name -> value).
    `compared`: with the session before; None: that was not screened.
    """
    title = say_many(
        "{strategy}: screen of {session}, {count} hit",
        "{strategy}: screen of {session}, {count} hits",
        hits.height,
        strategy=strategy,
        session=session,
    )
    head = say_many(
        "**{strategy}** · session {session} · the screen is done, {count} stock was chosen",
        "**{strategy}** · session {session} · the screen is done, {count} stocks were chosen",
        hits.height,
        strategy=_inline(strategy),
        session=session,
    )
    new = frozenset() if compared is None else compared.new
    links = say("[Open the screen]({url})", url=page_url) + " · " + _run_link(ui_url, run_id)
    lines = [head, *_differences(compared), "", *_hit_lines(hits, new), "", links]
    return _message(title, lines, sandbox, Severity.INFO, "screen")


def _differences(compared: Compared | None) -> list[str]:
    if compared is None:
        return []
    counts = say("New {new} · kept {kept} · gone {gone}", new=len(compared.new), kept=compared.kept, gone=len(compared.gone))
    named = ", ".join(_inline(name) for name in [*compared.gone.values()][:LISTED_HITS])
    return ["", f"{counts}: {named}" if named else counts]


@_spoken
def checks_failed(
    *, dataset: str, sessions: str, failed: Sequence[tuple[str, str]], run_id: str, ui_url: str, sandbox: bool
) -> Message:
    """Checks of a data set failed; `failed` holds (check, what it found)."""
    lines = [
        say("- Data set: {dataset}", dataset=_inline(dataset)),
        say("- Sessions: {sessions}", sessions=_inline(sessions)),
        "",
        say("| Check | Finding |"),
        "|---|---|",
        *(f"| {_inline(check)} | {_inline(text)} |" for check, text in failed[:_LISTED_CHECKS]),
        *_remainder(len(failed), _LISTED_CHECKS),
        "",
        say("The data are stored; look at them before you use them."),
        "",
        _run_link(ui_url, run_id),
    ]
    title = say("Checks failed: {dataset} ({count})", dataset=dataset, count=len(failed))
    return _message(title, lines, sandbox, Severity.WARNING, "checks_failed", f"checks_failed:{dataset}")


@_spoken
def check_noticed(*, dataset: str, check: str, text: str, run_id: str, ui_url: str, sandbox: bool) -> Message:
    """A check came upon something new, which is told once."""
    lines = [
        say("- Data set: {dataset}", dataset=_inline(dataset)),
        say("- Finding: {text}", text=_inline(text)),
        "",
        _run_link(ui_url, run_id),
    ]
    return _message(f"{check}：{dataset}", lines, sandbox, Severity.INFO, "check_noticed")


@_spoken
def portfolio_at_risk(
    *, session: dt.date, worth: str, alerts: Sequence[str], holdings: Sequence[tuple[str, str]], ui_url: str, sandbox: bool
) -> Message:
    """Figures of the paper portfolio passed their thresholds; `holdings`: the largest ones, (code and name, weight)."""
    lines = [
        say("**Paper portfolio** · session {session}", session=session),
        "",
        *(f"- {_inline(each)}" for each in alerts),
        "",
        _inline(worth),
        "",
        say("| Holding | Weight |"),
        "|---|--:|",
        *(f"| {_inline(name)} | {_inline(weight)} |" for name, weight in holdings[:_LISTED_HOLDINGS]),
        "",
        say("Thresholds and limits stand in signals.toml; the orders for the next session in `portfolio_orders`."),
        "",
        say("[Open the UI]({url})", url=ui_url),
    ]
    return _message(say("Portfolio risk: {alert}", alert=alerts[0]), lines, sandbox, Severity.WARNING, "portfolio_risk")


@_spoken
def sources_differ(*, differences: Sequence[tuple[str, str]], count: int, run_id: str, ui_url: str, sandbox: bool) -> Message:
    """Second sources contradict stored values; `differences` holds the first of all `count` as (which value, who says what)."""
    lines = [
        say("| Value | Stored and second |"),
        "|---|---|",
        *(f"| {_inline(value)} | {_inline(words)} |" for value, words in differences[:_LISTED_DIFFERENCES]),
        *_remainder(count, _LISTED_DIFFERENCES),
        "",
        say("Nothing was changed; the table `reconciliation` has them all."),
        "",
        _run_link(ui_url, run_id),
    ]
    title = say("Sources differ: {first} ({count})", first=differences[0][0], count=count)
    return _message(title, lines, sandbox, Severity.WARNING, "sources_differ")


@_spoken
def refusal_unknown(*, source: str, api: str, text: str, ui_url: str, sandbox: bool) -> Message:
    """A source refused in words that the platform does not know: they are told, so that they can be added."""
    lines = [
        say("- API: {source}.{api}", source=_inline(source), api=_inline(api)),
        say("- Its words: {text}", text=_inline(text)),
        "",
        say("The platform does not know this refusal: it takes it for a passing fault, and tries again."),
        "",
        say("**What to do**"),
        "",
        say("1. If it speaks of a quota, a permission or the account, mend that first."),
        say("2. Report the words, so that they can be added; they are told once."),
        "",
        say("[Open the UI]({url})", url=ui_url),
    ]
    title = say("Unknown refusal: {source}.{api}", source=source, api=api)
    return _message(title, lines, sandbox, Severity.WARNING, "unknown_refusal")


@_spoken
def session_expired(*, account: str, reason: str, command: str, ui_url: str, sandbox: bool, code: bool = False) -> Message:
    """A 同花顺 account is logged out and a person is needed. `account`: as he knows it; `reason`: why no re-login helped;
    `command`: what logs it in; `code`: an SMS was sent, and its code is all that is needed."""
    lines = [
        say("- Account: {account}", account=_inline(account)),
        say("- Why: {reason}", reason=_inline(reason)),
        "",
        say("Groups of the watchlist are not written until then; all else goes on."),
        "",
        say("**What to do**"),
        "",
        say("1. Give the code of the SMS: `{command}`", command=command)
        if code
        else say("1. Log in again: `{command}`", command=command),
        say("2. How it stands: `quant-pipeline ths status`"),
        "",
        say("[Open the UI]({url})", url=ui_url),
    ]
    title = say("Your THS login has expired, please log in again")
    return _message(title, lines, sandbox, Severity.CRITICAL, "session_expired", f"session_expired:{account}")


@_spoken
def watchlist_incomplete(
    *, group: str, session: dt.date, lacks: Sequence[tuple[str, str]], page_url: str, sandbox: bool
) -> Message:
    """Codes that were not pushed into a group of the THS account; `lacks` holds (code, why)."""
    lines = [
        say("- Group: {group}", group=_inline(group)),
        say("- Session: {session}", session=session),
        "",
        say("| Code | Why |"),
        "|---|---|",
        *(f"| {_inline(code)} | {_inline(why)} |" for code, why in lacks[:_LISTED_SOURCES]),
        *_remainder(len(lacks), _LISTED_SOURCES),
        "",
        say("All other codes are in the group."),
        "",
        say("[Open the watchlists]({url})", url=page_url),
    ]
    title = say("THS watchlist {group}: {count} codes are not right", group=group, count=len(lacks))
    return _message(title, lines, sandbox, Severity.WARNING, "watchlist", f"watchlist:{group}")


@_spoken
def alerts_raised(*, alerts: Sequence[tuple[str, str, str]], severity: Severity, pages_url: str, sandbox: bool) -> Message:
    """What is the matter now: (rule in words, what it is about, why); the gravest of them has `severity`."""
    lines = [
        say("| Alert | About | Cause |"),
        "|---|---|---|",
        *(f"| {_inline(rule)} | {_inline(subject)} | {_inline(cause)} |" for rule, subject, cause in alerts[:_LISTED_SOURCES]),
        *_remainder(len(alerts), _LISTED_SOURCES),
        "",
        say("**What to do**"),
        "",
        say("1. See them all: `quant-pipeline alerts list`"),
        say("2. Say that you know: `quant-pipeline alerts ack ID`; it is then told no more."),
        "",
        say("[Open the alerts]({url}/alerts)", url=pages_url),
    ]
    rule, subject, _ = alerts[0]
    title = say("Alert: {rule}, {subject}", rule=rule, subject=subject)
    if len(alerts) > 1:
        title += say(" and others, {count} in all", count=len(alerts))
    topic = f"alerts:{','.join(sorted(f'{rule}.{subject}' for rule, subject, _ in alerts))}"
    return _message(title, lines, sandbox, severity, "alert", topic)


@_spoken
def recovered(*, alerts: Sequence[tuple[str, str, str]], pages_url: str, sandbox: bool) -> Message:
    """What was told is over: (rule in words, what it was about, since when)."""
    lines = [
        say("| Alert | About | Since |"),
        "|---|---|---|",
        *(f"| {_inline(rule)} | {_inline(subject)} | {_inline(since)} |" for rule, subject, since in alerts[:_LISTED_SOURCES]),
        *_remainder(len(alerts), _LISTED_SOURCES),
        "",
        say("[Open the alerts]({url}/alerts)", url=pages_url),
    ]
    rule, subject, _ = alerts[0]
    title = say("Recovered: {rule}, {subject}", rule=rule, subject=subject)
    if len(alerts) > 1:
        title += say(" and others, {count} in all", count=len(alerts))
    return _message(title, lines, sandbox, Severity.INFO, "recovered")


@_spoken
def digest(*, folded: Sequence[tuple[str, int, dt.datetime, dt.datetime]]) -> Message:
    """Many messages in one: (title, how often, first, last) of each alert that was folded, the oldest first."""
    total = sum(count for _, count, _, _ in folded)
    lines = [
        say("| Message | Times | From | To |"),
        "|---|--:|---|---|",
        *(
            f"| {_inline(title)} | {count} | {_moment(first)} | {_moment(last)} |"
            for title, count, first, last in folded[:_LISTED_FOLDED]
        ),
        *_remainder(len(folded), _LISTED_FOLDED),
        "",
        say("Each of them in full: `quant-pipeline messages --folded`"),
    ]
    title = say_many("Digest: {count} message", "Digest: {count} messages", total)
    return Message(title, "\n".join(lines), kind="digest")


def one_line(text: str, longest: int = _LONGEST_LINE) -> str:
    """Foreign text on one line, without control characters (PostgreSQL refuses some) and cut to `longest` characters."""
    line = "".join(character for character in " ".join(text.split()) if character.isprintable())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _message(title: str, lines: Sequence[str], sandbox: bool, severity: Severity, kind: str, topic: str = "") -> Message:
    content = [say(_SIMULATED), "", *lines] if sandbox else lines
    shown = (say(_SANDBOX) if sandbox else "") + one_line(_unsecret(title), _LONGEST_TITLE)
    return Message(shown, "\n".join(content), severity=severity, kind=kind, topic=topic)


def _moment(at: dt.datetime) -> str:
    return f"{at.astimezone(clock.EXCHANGE_ZONE):%m-%d %H:%M:%S}"


def _hit_lines(hits: pl.DataFrame, new: Collection[str]) -> list[str]:
    if hits.is_empty():
        return [say("No hits.")]
    return [
        say("| Code | Name | Close | Pct | Score | Industry | Figures |"),
        "|---|---|--:|--:|--:|---|---|",
        *(_hit_line(hit, hit["ts_code"] in new) for hit in hits.head(LISTED_HITS).iter_rows(named=True)),
        *_remainder(hits.height, LISTED_HITS, _HITS),
    ]


def _hit_line(hit: dict[str, Any], new: bool) -> str:
    figures = json.loads(hit["figures"] or "{}")
    cells = (
        _inline(hit["ts_code"]),
        _inline(hit["name"] or "–") + (f" **{say('new')}**" if new else ""),
        _number(hit["close"], ".2f"),
        _number(hit["pct_chg"], "+.2f", "%"),
        _number(hit["score"], ".4g"),
        _inline(hit["industry"] or "–"),
        _inline(" · ".join(f"{name} {_number(value, '.6g')}" for name, value in figures.items())),
    )
    return f"| {' | '.join(cells)} |"


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "–" if value is None else f"{value:{form}}{unit}"


def _remainder(count: int, listed: int, text: str = _ENTRIES) -> list[str]:
    return ["", say(text, count=count)] if count > listed else []


def _run_link(ui_url: str, run_id: str) -> str:
    return say("[Open the run]({url}/runs/{run})", url=ui_url, run=run_id)


def _inline(text: str) -> str:
    """Text that stands as it is within a line or a table's cell."""
    return _MARKUP.sub(r"\\\1", one_line(retold(_unsecret(text))))


def _block(text: str) -> str:
    """Text of several lines, fenced by more backticks than it holds itself."""
    shown = "".join(c for c in retold(_unsecret(text)).strip().expandtabs() if c.isprintable() or c == "\n")
    if len(shown) > _LONGEST_CAUSE:
        shown = shown[:_LONGEST_CAUSE] + say("\n… (cut, {count} characters in all)", count=len(shown))
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", shown)), default=0))
    return f"{fence}\n{shown or say('none given')}\n{fence}"


def _unsecret(text: str) -> str:
    """Credentials that an error's text may quote, hidden: those in URLs, and those that stand by their name."""
    return _NAMED_SECRET.sub(r"\1***", _URL_CREDENTIALS.sub("***@", text))
