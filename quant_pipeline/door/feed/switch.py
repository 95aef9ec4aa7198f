"""Whether there are live quotes here, and what to do where there are none."""

from __future__ import annotations

from dataclasses import dataclass

from quant_pipeline.quotes.settings import QuotesSettings
from quant_pipeline.settings import Settings, SettingsError, read

SETTING = "QUANT_QUOTES=true"


@dataclass(frozen=True)
class Off:
    """Why there are no quotes, and what to do."""

    what: str
    why: str
    to_do: str

    def __str__(self) -> str:
        return f"{self.what}. {self.why} {self.to_do}"


def off(settings: Settings) -> Off | None:
    """None: quotes are on."""
    try:
        wanted = read(QuotesSettings).wanted(settings)
    except SettingsError as error:
        return Off("实时行情的设置有误 Live quotes: the settings cannot be used", str(error), "改正后重启 Correct it, restart.")
    if wanted:
        return None
    return Off(
        "实时行情未开启 Live quotes are off",
        "实盘模式默认不查询行情网站。In live mode no site is asked unless you say so.",
        f"在 .env 中设置 {SETTING} 并重启 ui 或 serve。Set {SETTING} in .env and restart ui or serve.",
    )
