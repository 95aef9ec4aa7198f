"""What an answer is judged against is synced before it: a run of the bars alone knows who was listed and suspended."""

from __future__ import annotations

from quant_pipeline_tests.assets.platform import Platform, texts


def test_bars_alone_bring_their_references_with_them(platform: Platform) -> None:
    sessions = platform.sessions(3)
    assert platform.alone(sessions[:1], "daily_kline").success
    assert platform.rows("SELECT count(*) > 50 FROM stock_list") == [(True,)]
    assert (platform.asked("suspend_d"), platform.asked("daily")) == (1, 1)

    platform.sandbox.order_fault("wrong_rows", api="daily", times=None, share=0.2)
    result = platform.alone(sessions[1:2], "daily_kline")
    assert "应有交易的证券中缺" in texts(result)["daily_kline"], "a cut answer is told from a whole one"
    platform.sandbox.clear_faults()


def test_without_the_right_to_a_reference_the_bars_are_synced_all_the_same(platform: Platform) -> None:
    session = platform.sessions(3)[2:]
    platform.sandbox.order_fault("permission", api="suspend_d", times=None)
    assert platform.alone(session, "daily_kline").success
    assert platform.rows("SELECT count(*) > 40 FROM daily_kline WHERE trade_date = %s", session[0]) == [(True,)]
