"""A message in the form that a channel can show: its markdown taken apart, and put together line by line.

Each line stands for itself (no mark begins on one and ends on another), so that a long text may be split at any line end.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from typing import Any

from quant_pipeline.notify.messages import Message

_UNSHOWN = frozenset({"script", "style"})
_BLOCKS = frozenset({"p", "br", "div", "tr", "li", "h1", "h2", "h3", "h4", "pre", "table", "ul", "ol"})


class Plain:
    """Text without marks."""

    template = "txt"

    def text(self, text: str) -> str:
        """Text that must not be taken for marks."""
        return text

    def bold(self, inner: str) -> str:
        return inner

    def code(self, text: str) -> str:
        return text

    def link(self, inner: str, url: str) -> str:
        return f"{inner} {url}" if inner != url else url

    def heading(self, inner: str) -> str:
        return inner

    def quote(self, line: str) -> str:
        return line

    def item(self, number: int | None, inner: str) -> str:
        return f"{number}. {inner}" if number else f"· {inner}"


class SimpleMarkdown(Plain):
    """The markdown of group robots: bold, links, quotes; no tables, no fences."""

    template = "markdown"

    def bold(self, inner: str) -> str:
        return f"**{inner}**" if inner.strip() else inner

    def link(self, inner: str, url: str) -> str:
        return f"[{inner}]({url})"

    def heading(self, inner: str) -> str:
        return f"### {inner}"

    def quote(self, line: str) -> str:
        return f"> {line}"

    def item(self, number: int | None, inner: str) -> str:
        return f"{number}. {inner}" if number else f"- {inner}"


class FullMarkdown(SimpleMarkdown):
    """Markdown with tables and fences: the content as it is."""


class TelegramHtml(Plain):
    """The few tags that Telegram knows."""

    template = "html"

    def text(self, text: str) -> str:
        return html.escape(text, quote=False)

    def bold(self, inner: str) -> str:
        return f"<b>{inner}</b>"

    def code(self, text: str) -> str:
        return f"<code>{html.escape(text, quote=False)}</code>"

    def link(self, inner: str, url: str) -> str:
        return f'<a href="{html.escape(url)}">{inner}</a>'

    def heading(self, inner: str) -> str:
        return self.bold(inner)


def rendered(message: Message, dialect: Plain) -> list[str]:
    """The message's content as lines of the dialect."""
    match message.template:
        case "markdown" if isinstance(dialect, FullMarkdown):
            return message.content.split("\n")
        case "markdown":
            return _tidy(_blocks(_parsed(message.content), dialect))
        case "html":
            return _tidy(dialect.text(line) for line in _without_tags(message.content).splitlines())
    return [dialect.text(line) for line in message.content.splitlines()]


def as_html(message: Message) -> str:
    """The content as HTML, for a mail."""
    match message.template:
        case "html":
            return message.content
        case "markdown":
            return str(_markdown().render(message.content))
    return f"<pre>{html.escape(message.content)}</pre>"


def _markdown() -> Any:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable("table")


def _parsed(content: str) -> Sequence[Any]:
    tokens: Sequence[Any] = _markdown().parse(content)
    return tokens


def _blocks(tokens: Sequence[Any], dialect: Plain) -> Iterator[str]:
    lists: list[list[int | None]] = []
    quoted, heading, marked = 0, False, False
    head: list[str] = []
    row: list[str] | None = None
    for token in tokens:
        match token.type:
            case "ordered_list_open" | "bullet_list_open":
                lists.append([1 if token.type.startswith("ordered") else None])
            case "ordered_list_close" | "bullet_list_close":
                lists.pop()
                yield ""
            case "list_item_open":
                marked = True
            case "blockquote_open":
                quoted += 1
            case "blockquote_close":
                quoted -= 1
                yield ""
            case "heading_open":
                heading = True
            case "tr_open":
                row = []
            case "tr_close" if row is not None:
                if not head:
                    head = row
                else:
                    yield _row(row, dialect)
                row = None
            case "table_close":
                head = []
                yield ""
            case "fence" | "code_block":
                yield from (dialect.quote(dialect.code(line)) if line else "" for line in token.content.splitlines())
                yield ""
            case "inline" if row is not None:
                row.append(_inline(token.children, dialect))
            case "inline":
                for line in _inline(token.children, dialect).split("\n"):
                    if heading:
                        yield dialect.heading(line)
                    elif marked:
                        number = lists[-1][0] if lists else None
                        yield dialect.item(number, line)
                        if number is not None:
                            lists[-1][0] = number + 1
                        marked = False
                    else:
                        yield dialect.quote(line) if quoted else line
                heading = False
                if not lists and not quoted:
                    yield ""


def _row(cells: Sequence[str], dialect: Plain) -> str:
    """A table's row as an item: the first cell named, the others after it."""
    first, *others = cells
    told = " · ".join(cell for cell in others if cell and cell != "–")
    return dialect.item(None, f"{dialect.bold(first)} {told}".strip())


def _inline(tokens: Sequence[Any] | None, dialect: Plain) -> str:
    opened: list[tuple[str, str]] = [("", "")]
    texts = [""]
    for token in tokens or ():
        match token.type:
            case "text":
                texts[-1] += dialect.text(token.content)
            case "code_inline":
                texts[-1] += dialect.code(token.content)
            case "softbreak" | "hardbreak":
                texts[-1] += "\n"
            case "strong_open" | "em_open":
                opened.append(("bold", ""))
                texts.append("")
            case "link_open":
                opened.append(("link", str(token.attrs.get("href", ""))))
                texts.append("")
            case "strong_close" | "em_close" | "link_close":
                what, url = opened.pop()
                inner = texts.pop()
                texts[-1] += dialect.link(inner, url) if what == "link" else dialect.bold(inner)
            case "image":
                texts[-1] += dialect.text(token.content)
    return "".join(texts)


def _tidy(lines: Iterator[str]) -> list[str]:
    """Never two empty lines in a row, none at the ends."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in lines)).strip("\n").split("\n")


def _without_tags(content: str) -> str:
    class Texts(HTMLParser):
        found = ""
        unshown = 0

        def handle_data(self, data: str) -> None:
            self.found += "" if self.unshown else data

        def handle_endtag(self, tag: str) -> None:
            self.unshown -= tag in _UNSHOWN

        def handle_starttag(self, tag: str, _attributes: object) -> None:
            self.unshown += tag in _UNSHOWN
            if tag in _BLOCKS and self.found and not self.found.endswith("\n"):
                self.found += "\n"

    parser = Texts()
    parser.feed(content)
    parser.close()
    return parser.found
