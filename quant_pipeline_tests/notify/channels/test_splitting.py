"""Long texts: below the limit whatever they hold, nothing lost, cut at line ends, tables and fences whole in each part."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quant_pipeline.notify.channels import rendering, splitting
from quant_pipeline.notify.channels.contract import Limits
from quant_pipeline.notify.messages import Message

BYTES, CHARACTERS = Limits(longest_bytes=200), Limits(longest_characters=100)
LINES = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r|`~", exclude_categories=["Cs"]), max_size=120))


@given(LINES, st.sampled_from([BYTES, CHARACTERS]))
def test_parts_fit_and_together_are_the_text(lines: list[str], limits: Limits) -> None:
    longest = splitting.room(limits, "")
    assert longest is not None
    parts = splitting.split(lines, longest, limits)
    assert all(splitting.size(part, limits) <= longest for part in parts)
    assert "".join("".join(part.split()) for part in parts) == "".join("".join(line.split()) for line in lines)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=80))
def test_a_fence_is_closed_and_opened_again_in_every_part(numbers: list[int]) -> None:
    lines = ["````", *(f"line {number} ``` of a cause" for number in numbers), "````", "the end"]
    parts = splitting.split(lines, 200, BYTES)
    assert all(splitting.size(part, BYTES) <= 200 for part in parts)
    assert all(part.count("````") % 2 == 0 for part in parts)


def test_a_table_goes_on_below_its_head() -> None:
    head = ["| 代码 | 名称 |", "|---|--:|"]
    rows = [f"| {number} | 平安 |" for number in range(40)]
    parts = splitting.split(["前", "", *head, *rows, "", "后"], 200, BYTES)
    assert len(parts) > 3
    assert all("\n".join(head) in part for part in parts[:-1])
    found = [line for part in parts for line in part.splitlines() if line in rows]
    assert found == rows
    assert parts[-1].endswith("后")


def test_only_a_line_that_is_longer_than_a_part_is_cut() -> None:
    parts = splitting.split(["短", "长" * 100, "短"], 150, BYTES)
    assert "".join(parts).replace("\n", "") == "短" + "长" * 100 + "短"
    assert all(splitting.size(part, BYTES) <= 150 for part in parts)


MARKDOWN = """> **SANDBOX**: made up

## 标题
| 代码 | 名称 | 涨跌 |
|---|---|--:|
| 600000.SH | 浦发 *银行* | +1.2% |

- 一 [链接](http://a/b?x=1&y=2)
- `代码 <b>`

1. 先
2. 后

```
a <b> *c*
```
"""


def test_markdown_becomes_what_a_group_robot_shows() -> None:
    lines = rendering.rendered(Message("t", MARKDOWN), rendering.SimpleMarkdown())
    assert lines == [
        "> **SANDBOX**: made up",
        "",
        "### 标题",
        "",
        "- **600000.SH** 浦发 **银行** · +1.2%",
        "",
        "- 一 [链接](http://a/b?x=1&y=2)",
        "- 代码 <b>",
        "",
        "1. 先",
        "2. 后",
        "",
        "> a <b> *c*",
    ]


def test_markdown_becomes_plain_text_and_telegram_s_tags() -> None:
    plain = rendering.rendered(Message("t", MARKDOWN), rendering.Plain())
    assert plain[0] == "SANDBOX: made up"
    assert "· 一 链接 http://a/b?x=1&y=2" in plain
    html = rendering.rendered(Message("t", MARKDOWN), rendering.TelegramHtml())
    assert '· 一 <a href="http://a/b?x=1&amp;y=2">链接</a>' in html
    assert "<code>a &lt;b&gt; *c*</code>" in html


def test_html_becomes_lines_and_text_stays_as_it_is() -> None:
    html = Message("t", "<p>一 <b>二</b></p><p>三&amp;四</p><script>x</script>", "html")
    assert rendering.rendered(html, rendering.Plain())[:2] == ["一 二", "三&四"]
    assert rendering.rendered(Message("t", "a\n**b**", "txt"), rendering.Plain()) == ["a", "**b**"]
