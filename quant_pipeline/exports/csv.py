"""CSV for spreadsheets and whatever reads nothing else: a file per data set and year.

    daily_kline/2026.csv       a data set by session; a list is one file, stock_list.csv

UTF-8 with a byte-order mark, so that Excel shows Chinese; a header line with Tushare's names; days as 2026-11-20; a value that
is not there is empty. Rows are sorted by the data set's key, prices raw.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from quant_pipeline.exports.chosen import Part, chosen, parts_of, rows_of
from quant_pipeline.exports.contract import Export, Origin, Parameters, Progress, Told, Written
from quant_pipeline.exports.folders import Folder
from quant_pipeline.language import marked
from quant_pipeline.market import clock
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, STOCK_LIST
from quant_pipeline.warehouse.table_changes import EVERY_YEAR

_FIRST = (DAILY_KLINE.name, ADJ_FACTOR.name, STOCK_LIST.name)
_LAYOUT = "1"


class CsvParameters(Parameters):
    """Which, and where to."""

    datasets: str = Field(
        "",
        description=marked(
            "Comma-separated data sets, beside those that were exported before (default: those; at first daily_kline, "
            "adj_factor and stock_list)."
        ),
    )
    to: str = Field("", description=marked("Folder to write to, new or an export's (default: QUANT_HOME/exports/<mode>/csv)."))


class Csv(Export):
    """Tables as CSV."""

    name = "csv"
    zh = "CSV 文件"
    doc = marked(
        "Tables as CSV for Excel and other programs, a file per data set and year, prices raw. Only years that changed are "
        "written; who reads sees one state."
    )
    examples = (
        "quant-pipeline export csv",
        "quant-pipeline export csv --datasets daily_basic,index_daily",
        "quant-pipeline export csv --to /mnt/share/quant --json",
    )
    reading = "pandas.read_csv('{place}/daily_kline/2026.csv', parse_dates=['trade_date'])"
    kinds = frozenset({"file", "csv"})
    Parameters: ClassVar = CsvParameters

    def place(self, origin: Origin) -> str:
        return str(origin.folder(self.name, self.asked.to))

    def write(self, origin: Origin, progress: Told) -> Written:
        folder = Folder(origin.folder(self.name, self.asked.to), self.name, origin)
        known: dict[str, Any] = folder.manifest.get("files", {})
        datasets = chosen(self.asked.datasets, {each["dataset"] for each in known.values()}, _FIRST)
        with origin.rows() as stored:
            parts = list(parts_of(stored, datasets))
            labels = {_name(part): _label(part) for part in parts}
            if {name: each["label"] for name, each in known.items()} == labels:
                return Written(str(folder.place), unchanged=len(known))
            files: dict[str, Any] = {}
            written: list[str] = []
            with folder.renewed() as generation:
                for number, part in enumerate(parts):
                    name = _name(part)
                    progress(Progress(number, len(parts), part.shown))
                    before = known.get(name)
                    if before and before["label"] == labels[name] and generation.keep(name):
                        files[name] = before
                        continue
                    rows, path = rows_of(stored, part), generation.new(name)
                    rows.write_csv(path, include_bom=True)
                    about = {"dataset": part.dataset.name, "rows": rows.height, "bytes": path.stat().st_size}
                    files[name] = about | {"label": labels[name]}
                    written.append(name)
                removed = generation.removed()
                at = clock.now().isoformat(timespec="seconds")
                generation.finish({"export": self.name, **origin.of, "written_at": at, "files": files})
        rows_, bytes_ = (sum(files[name][figure] for name in written) for figure in ("rows", "bytes"))
        return Written(str(folder.place), written, len(files) - len(written), removed, rows_, bytes_)


def _name(part: Part) -> str:
    name = part.dataset.name
    return f"{name}.csv" if part.year == EVERY_YEAR else f"{name}/{part.year}.csv"


def _label(part: Part) -> str:
    return f"{_LAYOUT}.{part.label}"
