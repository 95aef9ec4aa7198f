"""Strategy files that are dropped into the home: of our shape, and of the other one, as they are; and what is wrong in one."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from quant_pipeline.strategies.base import StrategyError
from quant_pipeline.strategies.registry import BUILT_IN, Registry, registered
from quant_pipeline_tests.strategies.shared import market

PANEL = market(codes=4, sessions=120)

OTHER = '''
import pandas as pd


class DualMovingAverage:
    """As its users have it."""

    def __init__(self, short_window=5, long_window=20):
        self.short_window = short_window
        self.long_window = long_window

    @classmethod
    def get_identifier(cls):
        return "dual_moving_average"

    @classmethod
    def get_name(cls):
        return "双均线策略"

    @classmethod
    def get_description(cls):
        return "短期均线上穿长期均线买入，下穿卖出"

    @classmethod
    def get_parameters(cls):
        return {
            "short_window": {"type": int, "default": 5, "description": "短期均线"},
            "long_window": {"type": "int", "default": 20, "description": "长期均线"},
        }

    def generate_signals(self, data: pd.DataFrame) -> pd.DataFrame:
        df = data.copy()
        df["short_ma"] = df["close"].rolling(self.short_window).mean()
        df["long_ma"] = df["close"].rolling(self.long_window).mean()
        df["signal"] = 0
        above = df["short_ma"] > df["long_ma"]
        crossed = above != above.shift(1)
        ready = df["long_ma"].shift(1).notna()
        df.loc[above & crossed & ready, "signal"] = 1
        df.loc[~above & crossed & ready, "signal"] = -1
        return df
'''
BASE = """
class Base:
    @classmethod
    def get_identifier(cls):
        raise NotImplementedError

    def generate_signals(self, data):
        raise NotImplementedError
"""
OURS = """
import polars as pl
from quant_pipeline.strategies.base import Strategy

class Rising(Strategy):
    name, zh, doc = "rising", "上涨", "It rose."
    lookback = 0

    def signals(self, bars):
        return bars.select("ts_code", "trade_date", buy=pl.col("pct_chg") > 0)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QUANT_HOME", str(tmp_path))
    folder = tmp_path / "strategies"
    folder.mkdir()
    return folder


def read(folder: Path, **files: str) -> Registry:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return registered()


def test_a_file_of_the_other_shape_drops_in(folder: Path) -> None:
    found = read(folder, my_dual=OTHER)
    assert found.broken == {}
    assert found.own == {"dual_moving_average"}
    kind = found.strategies["dual_moving_average"]
    assert (kind.zh, kind.doc) == ("双均线策略", "短期均线上穿长期均线买入，下穿卖出")
    fields = kind.Parameters.model_fields
    assert {name: (field.annotation, field.default, field.description) for name, field in fields.items()} == {
        "short_window": (int, 5, "短期均线"),
        "long_window": (int, 20, "长期均线"),
    }
    ours = next(each for each in BUILT_IN if each.name == "dual_ma")
    for values, same in (({}, {}), ({"short_window": 3, "long_window": 10}, {"fast": 3, "slow": 10})):
        decided = kind.with_parameters(values).decisions(PANEL).filter(pl.col("signal") != 0)
        assert decided.height > 0
        assert decided.drop("score").equals(
            ours.with_parameters(same).decisions(PANEL).filter(pl.col("signal") != 0).drop("score")
        )
    assert kind().screen(PANEL, PANEL["trade_date"].unique().to_list()).height > 0
    with pytest.raises(StrategyError, match="has no parameter fast; it has short_window, long_window"):
        kind.with_parameters({"fast": 3})


def test_a_file_of_ours_drops_in_and_a_changed_one_is_read_again(folder: Path) -> None:
    found = read(folder, rising=OURS)
    assert found.strategies["rising"]().screen(PANEL, [PANEL["trade_date"].max()]).height > 0  # type: ignore[list-item]
    assert registered().strategies["rising"] is found.strategies["rising"], "and one that has not changed is not"
    changed = read(folder, rising=OURS.replace("上涨", "今日上涨"))
    assert changed.strategies["rising"].zh == "今日上涨"


def test_files_may_share_a_base_by_either_import(folder: Path) -> None:
    def of(line: str, name: str) -> str:
        text = OTHER.replace("import pandas as pd", f"import pandas as pd\n{line}").replace("dual_moving_average", name)
        return text.replace("DualMovingAverage:", f"{name.title()}(Base):")

    texts = {
        "shared_base": BASE,
        "one": of("from .shared_base import Base", "one"),
        "two": of("from shared_base import Base", "two"),
    }
    found = read(folder, **texts)
    assert found.broken == {}
    assert found.own == {"one", "two"}


BROKEN = {
    "missing": ("import no_such_thing", "it imports no_such_thing, which is not there"),
    "python2": ("print 'hello'", "line 1 is no Python"),
    "raising": ("raise SystemExit('bye')", "it fails when it is read: bye"),
    "impostor": (OURS.replace('"rising"', '"dual_ma"'), "another one with the name 'dual_ma'"),
    "shouting": (OURS.replace('"rising"', '"My Strategy"'), "its name 'My Strategy' must be lower-case letters"),
    "nameless": (OURS.replace("name, zh, doc = ", "a, b, c = "), "it lacks name, zh, doc"),
    "wanting": (
        OURS.replace("lookback = 0", "lookback = 0\n    needs = {'news': ('text',)}"),
        "it needs news, which is no data set",
    ),
    "careless": (OTHER.replace('"default": 5, ', ""), "get_parameters must say the default of each parameter; of short_window"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_used_is_said_and_stops_no_other(name: str, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    text, reason = BROKEN[name]
    found = read(folder, rising=OURS, **{name: text})
    assert list(found.broken) == [f"{name}.py"]
    assert reason in found.broken[f"{name}.py"]
    assert name in caplog.text
    registered()
    assert caplog.text.count("is left out: ") == 1, "whoever asks again need not tell again"
    assert found.own == {"rising"}
    assert list(found.strategies)[: len(BUILT_IN)] == [strategy.name for strategy in BUILT_IN]


ANSWERS = {
    "None": "must return the frame with a column signal (1 buy, -1 sell, 0 neither); for 000003.SZ it gave NoneType",
    'data[["close"]]': "for 000003.SZ it gave close",
    "data.assign(signal=2)": "signal must be 1, 0 or -1; for 000003.SZ it is also 2",
    "data.assign(signal=1).reset_index(drop=True)": "must have the index of the bars; those for 000003.SZ have another",
    "data.no_such_column": "generate_signals failed on every stock; on 000003.SZ: ",
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_that_is_none_is_a_sentence(answer: str, folder: Path) -> None:
    text = OTHER.split("        df = data.copy()")[0] + f"        return {answer}\n"
    kind = read(folder, wrong=text).strategies["dual_moving_average"]
    with pytest.raises(StrategyError) as caught:
        kind().judged(PANEL)
    assert str(caught.value).startswith("dual_moving_average: ")
    assert ANSWERS[answer] in str(caught.value)


def test_one_stock_on_which_it_fails_is_left_out_and_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    picky = OTHER.replace(
        "df = data.copy()", "df = data.copy()\n        assert df['ts_code'].iloc[0] != '600000.SH', 'too short'"
    )
    strategy = read(folder, picky=picky).strategies["dual_moving_average"]()
    decided = strategy.decisions(PANEL)
    assert decided.filter(ts_code="600000.SH")["signal"].to_list() == [0] * PANEL.filter(ts_code="600000.SH").height
    assert decided["signal"].abs().sum() > 0
    assert strategy.left_out == {"600000.SH": "too short"}
    assert "failed on 1 of 4 stocks, which have no signals; on 600000.SH: too short" in caplog.text


def test_rows_that_it_leaves_out_are_no_signals(folder: Path) -> None:
    lean = OTHER.replace("        return df\n", "        return df[df['signal'] != 0][['signal']]\n")
    whole = read(folder, whole=OTHER).strategies["dual_moving_average"]().decisions(PANEL)
    (folder / "whole.py").unlink()
    assert read(folder, lean=lean).strategies["dual_moving_average"]().decisions(PANEL).equals(whole)


def test_without_a_project_there_are_no_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert registered().own == frozenset()


def test_a_home_that_cannot_be_used_has_no_file_and_no_say_in_the_built_in_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`run` loads the strategies before it needs the home: it is the home that says what is the matter with it."""
    monkeypatch.setenv("QUANT_HOME", str(tmp_path / ("x" * 300)))
    assert registered().strategies.keys() == {kind.name for kind in BUILT_IN}
