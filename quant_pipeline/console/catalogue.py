"""`python -m quant_pipeline.console.catalogue`: docs/datasets.md, made from the specs. 数据集目录."""

from __future__ import annotations

from collections.abc import Iterator

from quant_pipeline.market.dataset import Coverage, Dataset, Partition
from quant_pipeline.market.datasets import DATASETS
from quant_pipeline.sources.base import Source
from quant_pipeline.sources.registry import priority_variable, registered
from quant_pipeline.sync.checks import checks_of

_PARTITIONS = {
    Partition.SNAPSHOT: "none: a whole list, asked for once per session 整表",
    Partition.SESSION: "a session of the exchange 交易日",
    Partition.WEEK: "a week, named by its Monday 周",
    Partition.MONTH: "a month 月",
}
_COVERAGE = {
    Coverage.MARKET: "every listed code that was not suspended",
    Coverage.EVERY: "every code of its list on every session while it is listed",
    Coverage.MOST: "most listed codes (a thin market)",
    Coverage.DAYS: "every calendar day from the first to the last",
    Coverage.SOME: "not nothing",
    Coverage.ANY: "may rightly be empty",
}
_HEAD = """# Data sets 数据集

Made from the specs by `make docs`; not to be edited by hand. One name everywhere: data set = table = asset. Each table has
two columns more than its page shows: `source` (who gave the row) and `updated_at`. Sources are asked in the order of their
priorities; *by* says how each can be asked: for a whole `snapshot`, all codes of a `session`, one `code` over a range, or
the `members` of one concept or industry.
"""


def page() -> str:
    """The whole page, as Markdown."""
    return "\n".join([_HEAD, *_index(), *(line for dataset in DATASETS.values() for line in _chapter(dataset))])


def _index() -> Iterator[str]:
    yield "| data set | 中文 | partition | sources |"
    yield "|---|---|---|---|"
    for dataset in DATASETS.values():
        names = ", ".join(source.name for source in _servers(dataset)) or "computed"
        yield f"| [`{dataset.name}`](#{dataset.name}) | {dataset.zh} | {dataset.partition} | {names} |"
    yield ""
    yield "| source | asked as no. | its variables of the environment |"
    yield "|---|--:|---|"
    for source in registered().sources.values():
        variables = [priority_variable(source.name), *(each.alias or "" for each in source.settings.model_fields.values())]
        yield f"| {source.name} | {source.default_priority} | {', '.join(f'`{each}`' for each in variables)} |"
    yield ""


def _chapter(dataset: Dataset) -> Iterator[str]:
    yield f"## {dataset.name}\n"
    yield f"**{dataset.zh}** · {dataset.doc}\n"
    yield f"- Key 主键: `{', '.join(dataset.key)}`"
    yield f"- Partition 分区: {_PARTITIONS[dataset.partition]}"
    if dataset.dated and dataset.sourced:
        yield f"- Ready 就绪时间: {dataset.ready:%H:%M} Asia/Shanghai"
    if dataset.sourced:
        yield f"- A whole answer holds 完整性: {_COVERAGE[dataset.coverage]}"
    if dataset.codes:
        yield f"- Synced codes 同步代码: {', '.join(dataset.codes)} (others with `--symbols`)"
    yield ""
    yield from _columns(dataset)
    yield from _sources(dataset)
    yield from _rules(dataset)


def _columns(dataset: Dataset) -> Iterator[str]:
    yield "| column | type | unit | 中文 | meaning |"
    yield "|---|---|---|---|---|"
    for column in dataset.columns:
        required = " (required)" if column.required else ""
        yield f"| `{column.name}` | {column.type} | {column.unit} | {column.zh} | {column.doc}{required} |"
    yield ""


def _sources(dataset: Dataset) -> Iterator[str]:
    servers = _servers(dataset)
    if not servers:
        return
    yield "| source | API | by | rows a call |"
    yield "|---|---|---|--:|"
    for source in servers:
        serving = source.servings[dataset.name]
        grains = ", ".join(grain.value for grain in serving.grains)
        running = " (the running period too)" if serving.running else ""
        yield f"| {source.name} | `{serving.api}` | {grains}{running} | {serving.page:,} |"
    yield ""


def _rules(dataset: Dataset) -> Iterator[str]:
    if dataset.rules:
        yield "Rows that break one of these are refused and kept in `rejected_rows` 逐行规则:\n"
        yield from (f"- `{rule.name}`: {rule.doc}" for rule in dataset.rules)
        yield ""
    checks = checks_of(dataset) if dataset.sourced else ()
    if checks:
        yield "Checks 检查:\n"
        yield from (f"- `{check.name}` {check.zh}: {check.doc}{' (warns)' if check.warns else ''}" for check in checks)
        yield ""


def _servers(dataset: Dataset) -> list[type[Source]]:
    return [source for source in registered().sources.values() if dataset.name in source.servings]


if __name__ == "__main__":
    print(page(), end="")
