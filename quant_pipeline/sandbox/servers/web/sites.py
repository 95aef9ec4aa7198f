"""All sites, and which page each gives for which path."""

from __future__ import annotations

from quant_pipeline.market.codes import Board, CodeError, board, parse
from quant_pipeline.sandbox.servers.web import eastmoney_bars, eastmoney_lists, exchanges, sina, tencent, ths_site
from quant_pipeline.sandbox.servers.web.site import HTML_GBK, SCRIPT, TEXT, WORKBOOK, Page, Request, Site
from quant_pipeline.sandbox.simulation.interface import Market

_KLINES = "/api/qt/stock/kline/get"
_LISTING = "/api/qt/clist/get"


def _eastmoney(market: Market, request: Request) -> Page | None:
    asked = request.asked
    match request.path:
        case path if path == _KLINES:
            ts_code = eastmoney_bars.ts_code_of(asked.get("secid", ""))
            pages = eastmoney_lists.fund_bars if _is_fund(ts_code) else eastmoney_bars.bars
            return Page(*pages(market, ts_code, asked))
        case path if path == _LISTING:
            stocks = "t:6" in asked.get("fs", "")
            return Page(*(eastmoney_bars.spot if stocks else eastmoney_lists.fund_spot)(market, asked))
        case "/api/data/v1/get":
            return Page(*eastmoney_lists.bonds(market, asked))
        case "/stockrank/getAllCurrentList":
            return Page(*eastmoney_lists.hot_ranks(market, eastmoney_lists.HOT))
        case "/api/qt/ulist.np/get":
            return Page(*eastmoney_lists.quotations(market, asked))
    return None


def _is_fund(ts_code: str) -> bool:
    try:
        return board(parse(ts_code)) is Board.ETF
    except CodeError:
        return False


def _ths(market: Market, request: Request) -> Page | None:
    parts = request.path.strip("/").split("/")
    match parts:
        case ["thshy", "detail", "code", code]:
            return Page(*ths_site.industry_page(market, code), HTML_GBK)
        case ["gn", "detail", "code", number]:
            return Page(*ths_site.concept_page(market, number), HTML_GBK)
        case ["gn", "index", *_, "page", page, "ajax", "1"]:
            return Page(*ths_site.concept_table(market, int(page)), HTML_GBK)
    return None


def _exchanges(market: Market, request: Request) -> Page | None:
    if request.host.endswith("sse.com.cn"):
        return Page(*exchanges.sse(market, request.asked.get("STOCK_TYPE", "1")))
    if request.host.endswith("szse.cn"):
        return Page(*exchanges.szse(market), WORKBOOK)
    return Page(*exchanges.bse(market, int(request.asked.get("page", 0))))


def _tencent(market: Market, request: Request) -> Page | None:
    if request.path.endswith("/weekTrends"):
        return Page(*tencent.trends(market, request.asked.get("code", "")), SCRIPT)
    if request.path.endswith("/newfqkline/get"):
        return Page(*tencent.bars(market, request.asked.get("_var", ""), request.asked.get("param", "")), SCRIPT)
    return None


def _sina(market: Market, request: Request) -> Page | None:
    match request.path.strip("/").split("/"):
        case ["realstock", "company", symbol, ("hfq.js" | "qfq.js") as file]:
            return Page(*sina.factors(market, symbol, file[:3]), SCRIPT)
        case ["realstock", "company", symbol, "hisdata_klc2", "klc_kl.js"]:
            return Page(*sina.bars(market, symbol), SCRIPT)
        case ["realstock", "company", "klc_td_sh.txt"]:
            return Page(*sina.sessions(market), TEXT)
        case ["stock", "api", "jsonp.php", _, "StockService.getAmountBySymbol"]:
            return Page(*sina.shares(market, request.asked.get("symbol", "")), SCRIPT)
    return None


SITES = (
    Site("eastmoney", ("eastmoney.com",), _eastmoney),
    Site("ths", ("10jqka.com.cn",), _ths),
    Site("exchanges", ("sse.com.cn", "szse.cn", "bse.cn"), _exchanges),
    Site("tencent", ("finance.qq.com", "gtimg.cn"), _tencent),
    Site("sina", ("sina.com.cn", "sinajs.cn"), _sina),
)


def site_of(host: str) -> Site | None:
    """The site that has the host; None where the sandbox has none such."""
    return next((site for site in SITES if site.has(host)), None)
