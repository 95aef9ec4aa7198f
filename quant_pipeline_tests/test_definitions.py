"""The one Definitions object, as the UI reads it: a snapshot of its names, and what every asset must carry."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg
import pytest

from quant_pipeline.assets.alerts import tell_failure
from quant_pipeline.backtest.settings import Settings
from quant_pipeline.definitions import build_defs, defs
from quant_pipeline.market.dataset import Partition
from quant_pipeline.market.datasets import (
    INTRADAY_QUOTES,
    MARKET_OVERVIEW,
    PORTFOLIO_RISK,
    RECONCILIATION,
    SCREEN_RESULTS,
    SIGNAL_STATISTICS,
    SIGNALS,
    SOURCED,
    THS_WATCHLIST,
    WATCHLISTS,
)
from quant_pipeline.partitions import MONTHS, SESSIONS, WEEKS
from quant_pipeline.strategies.registry import registered
from quant_pipeline.strategies.universe import Universe
from quant_pipeline.sync.checks import checks_of

CHINESE = re.compile(r"[\u4e00-\u9fff]")
ASSETS = {key.to_user_string(): definition for definition in defs.assets or () for key in definition.keys}  # type: ignore[union-attr]
SIGNALLED = ("signals", "signal_statistics", "portfolio_risk")
OPERATIONS = {"sync_status", "sync_history", "source_health", "data_stats", "ths_account"}
DATASET_OF = {
    **SOURCED,
    "screen_dual_ma": SCREEN_RESULTS,
    **{
        each.name: each
        for each in (
            RECONCILIATION,
            MARKET_OVERVIEW,
            SIGNALS,
            SIGNAL_STATISTICS,
            PORTFOLIO_RISK,
            WATCHLISTS,
            THS_WATCHLIST,
            INTRADAY_QUOTES,
        )
    },
}


def spec(name: str) -> dg.AssetSpec:
    return next(spec for spec in defs.resolve_all_asset_specs() if spec.key == dg.AssetKey(name))


def test_the_definitions_load_with_everything_that_they_need() -> None:
    dg.Definitions.validate_loadable(build_defs())


def test_the_names_that_users_type_are_these() -> None:
    groups = {
        "reference": "trade_calendar stock_list bse_mapping name_history etf_list convertible_bonds index_list suspensions",
        "market": "daily_kline weekly_kline monthly_kline adj_factor dividends daily_basic price_limits auction index_daily "
        "index_weights",
        "funds_and_bonds": "etf_daily etf_adj cb_daily",
        "ths": "ths_concepts ths_industries ths_members ths_hot",
        "backtests": "backtests parameter_grid walk_forward",
        "computed": "market_overview",
        "watchlists": "watchlists ths_watchlist",
        "signals": "signals signal_statistics portfolio_risk",
        "quotes": "intraday_quotes",
        "quality": "reconciliation",
        "lake": "lake",
        "exports": "export_qlib export_parquet export_vnpy export_csv",
        "operations": "sync_status sync_history source_health data_stats alerts ths_account",
    }
    families = {
        "indicators": "dual_ma macd rsi kdj boll_breakout boll_reversion turtle turtle_long dual_thrust",
        "classics": "volume_up rising_average parking_apron back_to_year_line platform_breakout steady_rise new_high "
        "high_narrow_flag limit_down_on_volume low_atr_growth",
        "patterns": "volume_cross breakout high_tight_flag limit_up_shakeout uptrend_limit_down rps_breakout limit_up_follow",
        "rotations": "small_cap low_volatility momentum reversal multi_factor",
    }
    for family, names in families.items():
        groups[f"screens/{family}"] = " ".join(f"screen_{name}" for name in names.split())
        groups[f"backtests/{family}"] = " ".join(f"backtest_{name}" for name in names.split())
    expected = {name: group for group, names in groups.items() for name in names.split()}
    assert {spec.key.to_user_string(): spec.group_name for spec in defs.resolve_all_asset_specs()} == expected
    repository = defs.get_repository_def()
    jobs = (
        "daily_sync pre_open_sync catch_up reference_sync auction_sync hot_sync "
        "weekly_sync monthly_sync verification weekly_verification monthly_verification "
        "quotes_report operations_report signals_cleanup"
    ).split()
    by_hand = "backtest_grid backtest_walk_forward ths_login_qr ths_login_sms ths_login_sms_code ths_login_password "
    by_hand += "ths_login_cookie ths_relogin bind_receiver"
    assert {job.name for job in repository.get_all_jobs()} == {*jobs, *by_hand.split(), "__ASSET_JOB"}
    assert {schedule.name for schedule in repository.schedule_defs} == {f"{job}_schedule" for job in jobs}
    assert {sensor.name for sensor in repository.sensor_defs} == {
        "automation",
        "push_watchlists",
        "outbox",
        "run_failure",
        "run_recovery",
        "alerts",
        "ths_session",
    }
    resources = "warehouse sources sync options notifier ths".split()
    assert set(repository.get_top_level_resources()) == set(resources)


def test_what_runs_by_itself_runs_without_being_switched_on() -> None:
    repository = defs.get_repository_def()
    assert {sensor.default_status for sensor in repository.sensor_defs} == {dg.DefaultSensorStatus.RUNNING}
    assert {schedule.default_status for schedule in repository.schedule_defs} == {dg.DefaultScheduleStatus.RUNNING}


def _steps(job: str) -> set[str]:
    return {node.name for node in defs.resolve_job_def(job).nodes}


def _with_checks(names: Iterable[str]) -> set[str]:
    return {*names, *(f"{name}_checks" for name in names)}


def test_the_main_job_takes_every_data_set_by_session_its_lists_and_the_screens() -> None:
    by_session = [name for name, dataset in SOURCED.items() if dataset.partition is Partition.SESSION]
    lists = [name for name, dataset in SOURCED.items() if not dataset.dated and not name.startswith("ths_")]
    assert _steps("daily_sync") == _with_checks([*by_session, *lists]) | {"screen_dual_ma", "market_overview", *SIGNALLED}


def test_every_data_set_is_in_some_scheduled_job() -> None:
    scheduled = set().union(*(_steps(schedule.job_name) for schedule in defs.get_repository_def().schedule_defs))
    assert _with_checks(SOURCED) <= scheduled
    assert {"reconciliation", *OPERATIONS} <= scheduled


@pytest.mark.parametrize("name", DATASET_OF)
def test_an_asset_tells_in_both_languages_what_it_is_and_whose(name: str) -> None:
    asset = spec(name)
    assert CHINESE.search(asset.description or "")
    assert re.search(r"[A-Za-z]{4}", asset.description or "")
    assert DATASET_OF[name].name in (asset.description or "")
    assert asset.owners
    assert "postgres" in asset.kinds
    assert asset.metadata["dagster/table_name"] == DATASET_OF[name].name


def test_the_line_that_the_catalogue_shows_of_an_asset_is_in_both_languages_and_no_markdown() -> None:
    for each in defs.resolve_all_asset_specs():
        name, told = each.key.to_user_string(), each.description or ""
        assert CHINESE.search(told), name
        assert re.search(r"[A-Za-z]{4}", told), name
        assert re.search(r"`|\*\*|\]\(|^[#-] ", told.partition("\n")[0]) is None, name


@pytest.mark.parametrize("name", DATASET_OF)
def test_an_asset_s_column_schema_has_type_unit_and_meaning_of_every_column(name: str) -> None:
    dataset = DATASET_OF[name]
    schema = spec(name).metadata["dagster/column_schema"]
    assert [column.name for column in schema.columns] == [*dataset.column_names, "source"]
    for column in schema.columns:
        assert column.type
        assert CHINESE.search(column.description)
    for column in dataset.columns:
        shown = next(each for each in schema.columns if each.name == column.name)
        assert (f"[{column.unit}]" in shown.description) is bool(column.unit)
        assert shown.constraints.nullable is not column.required
    units = {column.name: column.unit for column in SOURCED["daily_kline"].columns}
    assert (units["vol"], units["amount"], units["pct_chg"]) == ("手", "千元", "%")


@pytest.mark.parametrize("name", DATASET_OF)
def test_an_asset_tells_of_its_failure_from_every_door(name: str) -> None:
    assert tell_failure in ASSETS[name].hook_defs


@pytest.mark.parametrize("name", DATASET_OF)
def test_an_asset_by_session_is_backfilled_in_one_run(name: str) -> None:
    asset = ASSETS[name]
    partitions = {Partition.SESSION: SESSIONS, Partition.WEEK: WEEKS, Partition.MONTH: MONTHS}
    if DATASET_OF[name].dated:
        assert asset.partitions_def == partitions[DATASET_OF[name].partition]
        assert asset.backfill_policy == dg.BackfillPolicy.single_run()
    else:
        assert asset.partitions_def is None


@pytest.mark.parametrize("name", SOURCED)
def test_a_data_set_s_asset_stands_behind_what_it_is_judged_against_and_has_its_checks(name: str) -> None:
    dataset = SOURCED[name]
    graph, drawn = defs.resolve_asset_graph(), {dep.asset_key for dep in spec(name).deps}
    assert {key.to_user_string() for key in graph.get_ancestor_asset_keys(dg.AssetKey(name))} >= set(dataset.after)
    implied = {key for dep in drawn for key in graph.get_ancestor_asset_keys(dep)}
    assert drawn.isdisjoint(implied), "an edge that another path implies is not drawn"
    checks = {key.name for key in defs.resolve_asset_graph().asset_check_keys if key.asset_key == dg.AssetKey(name)}
    assert checks == {check.name for check in checks_of(dataset)} != set()


def test_the_checks_are_those_that_the_field_expects() -> None:
    dated = {"rows_sane", "no_closed_day", "no_future_row", "fresh", "nothing_refused"}
    owed = dated | {"row_count", "every_row"}
    chained = {"within_price_limits", "pre_close_chain", "no_repeated_session"}
    of_rules = {"known_boards", "early_volume_fits"}
    assert {check.name for check in checks_of(SOURCED["daily_kline"])} == owed | chained | of_rules
    assert {check.name for check in checks_of(SOURCED["adj_factor"])} == owed | {"factor_jumps_on_ex_dates"}
    assert {check.name for check in checks_of(SOURCED["suspensions"])} == dated
    assert {check.name for check in checks_of(SOURCED["stock_list"])} >= {"rows_sane", "fresh", "known_boards"}
    assert {"one_bar_per_period", "as_daily_bars"} <= {check.name for check in checks_of(SOURCED["weekly_kline"])}


def test_the_screen_waits_for_bars_and_factors_and_shows_its_parameters() -> None:
    assert {dep.asset_key.to_user_string() for dep in spec("screen_dual_ma").deps} == {"daily_kline", "adj_factor"}
    assert spec("screen_dual_ma").automation_condition is not None
    fields = ASSETS["screen_dual_ma"].op.config_schema.config_type.fields
    universe = fields["universe"].config_type.fields
    defaults = {name: field.default_value for name, field in fields.items() if name != "universe"}
    assert defaults == {"fast": 5, "slow": 20}
    assert universe.keys() == Universe.model_fields.keys()
    assert not any(field.default_value for field in universe.values())
    assert all(CHINESE.search(field.description) for field in (*fields.values(), *universe.values()))


def test_a_backtests_launchpad_shows_parameters_and_account_which_all_backtests_share() -> None:
    asked = {name: ASSETS[f"backtest_{name}"].op.config_schema.config_type.fields for name in registered().strategies}
    for name, strategy in registered().strategies.items():
        parameters = asked[name]["parameters"]
        defaults = {own: field.default for own, field in strategy.Parameters.model_fields.items()}
        assert parameters.default_value == defaults, name
        assert all(CHINESE.search(field.description) for field in parameters.config_type.fields.values()), name
    account = asked["dual_ma"]["account"]
    assert account.default_value == {name: field.default for name, field in Settings.model_fields.items()}
    assert all(CHINESE.search(field.description) for field in account.config_type.fields.values())
    assert all(fields["account"] is account for fields in asked.values()), "made once: each of its own costs a start 15 ms"


def _launchpads() -> Iterator[tuple[str, str]]:
    """Of every field of every launchpad: where it stands, and its description."""
    for definition in ASSETS.values():
        node = definition.node_def
        for op in (node, *(each.definition for each in getattr(node, "nodes", ()))):
            yield from _described(op.name, getattr(op, "config_schema", None))
    for job in defs.get_repository_def().get_all_jobs():
        for each in job.graph.nodes:
            yield from _described(each.name, getattr(each.definition, "config_schema", None))


def _described(place: str, holder: Any) -> Iterator[tuple[str, str]]:
    kind = getattr(holder, "config_type", None)
    for name, field in getattr(kind, "fields", {}).items():
        yield f"{place}.{name}", field.description or ""
        yield from _described(f"{place}.{name}", field)


def test_every_field_of_every_launchpad_is_described_in_both_languages() -> None:
    fields = dict(_launchpads())
    wanted = ("screen_kdj.low", "backtest_macd.parameters.zero", "grid_points.ranked_by", "export_qlib.to", "signals.policy")
    assert set(wanted) <= set(fields)
    lacking = [place for place, text in fields.items() if not (CHINESE.search(text) and re.search(r"[A-Za-z]{3}", text))]
    assert lacking == []


def test_no_secret_can_be_typed_into_or_read_from_a_resource(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens and URLs with passwords come from the environment alone: what is config stands in the UI and in run records."""
    secret = "sandbox-secret-77aa"
    for variable in ("TUSHARE_TOKEN", "PUSHPLUS_TOKEN", "PUSHPLUS_SECRET_KEY"):
        monkeypatch.setenv(variable, secret)
    monkeypatch.setenv("QUANT_DATABASE_URL", f"postgresql://user:{secret}@db.example/quant")
    resources = build_defs().get_repository_def().get_top_level_resources()
    names = {
        name: set(resource.config_schema.config_type.fields) if hasattr(resource.config_schema.config_type, "fields") else set()
        for name, resource in resources.items()
    }
    assert names["sources"] == {"patience"}
    written = json.dumps(
        [[name, repr(vars(resource)), repr(resource.config_schema.default_value)] for name, resource in resources.items()]
    )
    assert not re.search(r"token|password|secret|database_url", " ".join(sorted(set().union(*names.values()))))
    assert secret not in written


def test_tests_and_users_may_put_another_resource_in_the_place_of_one() -> None:
    other = build_defs({"warehouse": dg.ResourceDefinition.hardcoded_resource("another")})
    assert other.resources is not None
    assert isinstance(other.resources["warehouse"], dg.ResourceDefinition)
