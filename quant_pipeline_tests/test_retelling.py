"""What is kept in English and shown in Chinese: every text that is told is known again, alone and put together."""

from __future__ import annotations

import re
import string
from collections import Counter

import pytest

from quant_pipeline.cli import texts
from quant_pipeline.language import catalogue, speaking, told
from quant_pipeline.retelling import retold

SENTENCE = re.compile(r"[a-z]{2,} [a-z]{2,} [a-z]{2,}")
"""Three Latin words in a row are a sentence; names, codes and APIs are none."""


def told_in_code() -> list[str]:
    return sorted({text for text in texts.marked_in_code() if isinstance(text, str) and "%" not in text})


def skeleton(text: str) -> str:
    """The text without the names of its places: two rooms may say the same of different things."""
    return re.sub(r"\{.*?\}", "{}", text)


def figures(text: str) -> dict[str, object]:
    names = [(name, form) for _, name, form, _ in string.Formatter().parse(text) if name]
    return {
        name: 1234 if name in ("count", "total") or form else f"<{name}>" for name, form in names if "%" not in (form or "")
    }


def test_each_text_that_is_told_is_known_again() -> None:
    """All texts in one test: a worker that runs other files need not read the whole code to know their names."""
    alike = Counter(map(skeleton, catalogue("zh")))
    texts_of_code = told_in_code()
    wrong = {}
    for text in texts_of_code:
        kept = told(text, **figures(text))
        chinese = catalogue("zh")[text].format_map(figures(text))
        known = " " in text and len(re.sub(r"\{.*?\}|[^a-z]", "", text)) >= 6 and not alike[skeleton(text)] > 1
        with speaking("zh"):
            if known and (said := retold(kept)) != chinese:
                wrong[text] = said
        with speaking("en"):
            if (said := retold(kept)) != kept:
                wrong[text] = said
    assert wrong == {}
    assert len(texts_of_code) > 500


KEPT = {
    "daily_kline 2026-11-20: tushare.daily: no answer in time [retryable]; baostock.*: 黑名单用户 [permanent_source]": (
        "daily_kline 2026-11-20：tushare.daily：应答超时 [retryable]；baostock.*: 黑名单用户 [permanent_source]"
    ),
    "tushare.daily: no good row came, though 2026-11-20 is a session (3 rows were refused: prices_positive)": (
        "tushare.daily：2026-11-20 是交易日，却没有返回有效数据（拒收 3 行：prices_positive）"
    ),
    "baostock.query_stock_basic: left alone for 59 s more after repeated failures (the connection failed)": (
        "baostock.query_stock_basic：连续失败后熔断，59 秒后再试（连接失败）"
    ),
    "left alone for 30 s more after repeated failures (the connection failed)": "连续失败后熔断，30 秒后再试（连接失败）",
    "7 of 5000 rows that are due are missing from every source: 600000.SH, …": (
        "5000 行应有的数据中，有 7 行所有数据源都没有：600000.SH, …"
    ),
    "3 of 5000 rows due are missing; 2026-11-20: 3 of 200 rows of 创业板 ChiNext": (
        "5000 行应有的数据中缺 3 行；2026-11-20：创业板 ChiNext 200 行中 3 行"
    ),
    "interrupted: what it had committed is kept, run it again to go on": "已中断：已写入的数据保留，重新运行即可继续",
    "daily_kline 2026-11-20: akshare answered instead (no token: set TUSHARE_TOKEN (https://tushare.pro/user/token), "
    "or TUSHARE_PRIORITY=0)": (
        "daily_kline 2026-11-20 改由 akshare 提供（没有 token：请设置 TUSHARE_TOKEN（https://tushare.pro/user/token），"
        "或 TUSHARE_PRIORITY=0）"
    ),
}


@pytest.mark.parametrize(("kept", "said"), KEPT.items(), ids=range(len(KEPT)))
def test_texts_that_were_put_together_are_said_part_by_part(kept: str, said: str) -> None:
    with speaking("zh"):
        assert retold(kept) == said


def test_foreign_words_and_names_stay_as_they_are() -> None:
    with speaking("zh"):
        for text in ("抱歉，您没有访问该接口的权限", "600000.SH 2026-11-02..2026-11-20", "some server's own words", "", "list"):
            assert retold(text) == text


def test_an_english_reader_is_told_in_english_what_was_written_in_chinese() -> None:
    kept = "daily_kline 2026-11-20：tushare.daily：应答超时 [retryable]。已完成的部分已保存，可重新运行。"
    with speaking("en"):
        assert retold(kept) == (
            "daily_kline 2026-11-20: tushare.daily: no answer in time [retryable]. What succeeded is kept; run it again."
        )
