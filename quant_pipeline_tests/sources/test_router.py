"""The router: failover per unit, no call to who cannot have it, and patience with sources that only rest."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import polars as pl
import pytest
from pydantic import Field

from quant_pipeline.language import speaking
from quant_pipeline.market import codes
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, WEEKLY_KLINE
from quant_pipeline.market.validation import Checked
from quant_pipeline.market.xshg import xshg
from quant_pipeline.retelling import retold
from quant_pipeline.settings import Variables
from quant_pipeline.sources import controls
from quant_pipeline.sources.base import Source, Tally, serves
from quant_pipeline.sources.failures import FailureClass, Implausible, Incomplete, SourceError, Unanswered
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.sources.ranking import Ranking
from quant_pipeline.sources.router import Router, one_command
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.warehouse.database import Database

DAY = dt.date(2026, 11, 20)
UNIT = Unit.session(DAY)
QUICK = RatePolicy(per_minute=None, per_second=None, retries=1, backoff=0, trip=2, cool_down=0.2)
ROWS = pl.DataFrame({"ts_code": ["600000.SH"]})
Answer = Callable[[], pl.DataFrame]


class Scripted(Source):
    """A source whose answers a test gives; every one is a call under the limiter."""

    name = "first"

    def __init__(self, limiter: Limiter, answer: Answer) -> None:
        super().__init__(xshg(), limiter, {self.name: {"*": QUICK}}, patience=0.0)
        self.answer = answer
        self.asked = 0

    @serves(DAILY_KLINE, by=(Grain.SESSION, Grain.CODE), api="daily", page=6000)
    def daily_kline(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        del unit
        return self.call("daily", self._answer, tally)

    @serves(WEEKLY_KLINE, by=(Grain.SESSION,), api="weekly", page=6000)
    def weekly_kline(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self.daily_kline(unit, tally)

    def _answer(self) -> pl.DataFrame:
        self.asked += 1
        return self.answer()

    def lacks(self, dataset: Dataset, ts_code: str) -> bool:
        del dataset
        return self.name == "first" and ts_code.endswith(".BJ")

    def classify(self, api: str, error: Exception) -> SourceError:
        return SourceError(FailureClass.RETRYABLE, self.name, api, str(error))


class Second(Scripted):
    name = "second"
    daily_kline = Scripted.daily_kline


class Keyed(Variables):
    token: str = Field("", alias="FIRST_TOKEN")


def good() -> pl.DataFrame:
    return ROWS


def fails(failure: FailureClass, api: str = "daily") -> Answer:
    def answer() -> pl.DataFrame:
        raise SourceError(failure, "first", api, "as ordered")

    return answer


def judge(frame: pl.DataFrame, source: Source) -> Checked:
    del source
    if frame.is_empty():
        raise Incomplete("nothing came")
    return Checked(frame, frame.clear())


@pytest.mark.parametrize(
    ("failure", "tries"),
    [
        (FailureClass.RETRYABLE, 2),
        (FailureClass.BANNED, 2),
        (FailureClass.PERMANENT_API, 1),
        (FailureClass.PERMANENT_SOURCE, 1),
        (FailureClass.EMPTY, 2),
    ],
)
def test_a_unit_fails_over_after_as_many_tries_as_its_failure_is_worth(
    limiter: Limiter, failure: FailureClass, tries: int
) -> None:
    first, second = Scripted(limiter, fails(failure)), Second(limiter, good)
    answer = Router([first, second]).fetch(DAILY_KLINE, UNIT, judge)
    assert answer.source == "second"
    assert (first.asked, second.asked) == (tries, 1)
    assert answer.calls == tries + 1


def test_a_failover_is_recorded_once_per_data_set_and_source(limiter: Limiter, warehouse: Database) -> None:
    first, second = Scripted(limiter, fails(FailureClass.PERMANENT_API)), Second(limiter, good)
    router = Router([first, second], Ranking(warehouse.pool, {"first": 1, "second": 2}))
    for day in (18, 19, 20):
        router.fetch(DAILY_KLINE, Unit.session(dt.date(2026, 11, day)), judge)
    events = [row for row in controls.events(warehouse) if row["kind"] == "failover"]
    assert [(row["source"], row["api"], row["reason"]) for row in events] == [
        ("first", "daily", "daily_kline 2026-11-18: second answered instead (as ordered)")
    ]


@pytest.mark.parametrize(
    ("failure", "advice"),
    [
        (FailureClass.PERMANENT_API, "QUANT_WITHOUT=daily_kline leaves it out"),
        (FailureClass.PERMANENT_SOURCE, "Look at FIRST_TOKEN in .env; FIRST_PRIORITY=0 leaves it out"),
    ],
)
def test_a_lasting_refusal_is_told_once_with_the_setting_that_mends_it(
    limiter: Limiter, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, failure: FailureClass, advice: str
) -> None:
    monkeypatch.setattr(Scripted, "settings", Keyed)
    router = Router([Scripted(limiter, fails(failure)), Second(limiter, good)])
    for day in (19, 20):
        router.fetch(DAILY_KLINE, Unit.session(dt.date(2026, 11, day)), judge)
    (told,) = [record.getMessage() for record in caplog.records if "not asked" in record.getMessage()]
    assert told.startswith("first.daily: as ordered. ")
    assert advice in told


def test_an_answer_that_is_refused_goes_to_the_next_and_counts_as_empty(limiter: Limiter, warehouse: Database) -> None:
    first, second = Scripted(limiter, ROWS.clear), Second(limiter, good)
    assert Router([first, second]).fetch(DAILY_KLINE, UNIT, judge).source == "second"
    with warehouse.connect() as connection:
        outcomes = connection.execute("SELECT source, outcome FROM source_calls ORDER BY id").fetchall()
    assert outcomes == [("first", "empty"), ("first", "empty"), ("second", "ok")]


def test_who_does_not_have_the_code_or_the_running_week_is_not_asked(limiter: Limiter) -> None:
    first, second = Scripted(limiter, good), Second(limiter, good)
    router = Router([first, second])
    assert router.fetch(DAILY_KLINE, Unit.code("920001.BJ", DAY, DAY), judge).source == "second"
    assert router.fetch(DAILY_KLINE, Unit.code("600000.SH", DAY, DAY), judge, without={"first"}).source == "second"
    with pytest.raises(Unanswered, match=r"weekly_kline 2026-11-18: first, second cannot have it.*not ready yet"):
        router.fetch(WEEKLY_KLINE, Unit.session(dt.date(2026, 11, 18)), judge)
    assert first.asked == 0
    assert router.fetch(WEEKLY_KLINE, UNIT, judge).source == "first"


def test_when_all_only_rest_the_unit_waits_and_is_answered(limiter: Limiter) -> None:
    source = Scripted(limiter, fails(FailureClass.RETRYABLE))
    with pytest.raises(Unanswered):
        Router([source], patience=0.0).fetch(DAILY_KLINE, UNIT, judge)
    source.answer = good
    assert Router([source], patience=30.0).fetch(DAILY_KLINE, UNIT, judge).source == "first"


def test_patience_ends_and_every_source_s_last_word_is_told(limiter: Limiter) -> None:
    first, second = Scripted(limiter, fails(FailureClass.RETRYABLE)), Second(limiter, ROWS.clear)
    first._policies = {first.name: {"*": QUICK.model_copy(update={"cool_down": 60.0})}}
    router = Router([first, second], patience=0.0)
    with pytest.raises(Unanswered, match=r"daily_kline 2026-11-20: .*\[retryable\]; second\.daily: nothing came \[empty\]"):
        router.fetch(DAILY_KLINE, UNIT, judge)
    with pytest.raises(Unanswered, match=r"first\.daily: left alone for .*as ordered.*\[circuit_open\]"):
        router.fetch(DAILY_KLINE, UNIT, judge)
    assert first.asked == 2, "the second unit cost no call"


class Told(Source):
    """A source that answers by itself, without a limiter: what the router makes of its answers is looked at."""

    name = "first"

    def __init__(self, answer: Answer = good, policy: RatePolicy = QUICK) -> None:
        super().__init__(xshg(), None, {self.name: {"*": policy}})
        self.answer = answer
        self.asked = self.disowned = 0
        self.away: str | None = None

    def unavailable(self) -> str | None:
        return self.away

    def _answered(self, tally: Tally) -> pl.DataFrame:
        self.asked += 1
        tally.calls += 1
        return self.answer()

    @serves(DAILY_KLINE, by=(Grain.SESSION, Grain.CODE), api="daily", page=6000)
    def daily_kline(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        del unit
        return self._answered(tally)

    @serves(ADJ_FACTOR, by=(Grain.SESSION,), api="factors", page=6000)
    def adj_factor(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        del unit
        return self._answered(tally)

    def disown(self, tally: Tally) -> None:
        del tally
        self.disowned += 1

    def lacks(self, dataset: Dataset, ts_code: str) -> bool:
        del dataset
        return codes.parse(ts_code).endswith(".BJ")

    def classify(self, api: str, error: Exception) -> SourceError:
        return SourceError(FailureClass.RETRYABLE, self.name, api, str(error))


class Other(Told):
    name = "second"

    def lacks(self, dataset: Dataset, ts_code: str) -> bool:
        del dataset
        return codes.parse(ts_code).endswith(".SH")


class Tushare(Told):
    """Named as one that the registry knows."""

    name = "tushare"


class Backwards(Ranking):
    """The sources in the other order, their owners as they are given but for the first."""

    def __init__(self) -> None:
        pass

    def order(self, dataset: Dataset, sources: Sequence[Source]) -> list[Source]:
        del dataset
        return list(reversed(sources))

    def owners(self, dataset: Dataset, sources: Sequence[Source]) -> list[Source]:
        del dataset
        return list(sources)[1:]


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the router slept, on a clock that only its naps move."""
    slept: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: 1000.0 + sum(slept))
    monkeypatch.setattr("quant_pipeline.sources.known.time", clock)
    monkeypatch.setattr(Router, "_nap", lambda _, seconds: slept.append(seconds))
    return slept


def test_who_is_asked_and_who_owns_is_the_ranking_s_word_and_else_the_order_given() -> None:
    first, second, third = Told(), Other(), Tushare()
    plain = Router([first, second])
    assert (plain.in_use(DAILY_KLINE), plain.priority(DAILY_KLINE)) == ((first, second), ("first", "second"))
    assert Router([first], owners=[first, third]).priority(DAILY_KLINE) == ("first", "tushare")
    ranked = Router([first, second], Backwards(), owners=[first, second, third])
    assert (ranked.in_use(DAILY_KLINE), ranked.priority(DAILY_KLINE)) == ((second, first), ("second", "tushare"))
    assert ranked.serving(ADJ_FACTOR, Grain.SESSION) == (second, first)
    assert ranked.serving(ADJ_FACTOR, Grain.CODE) == ()


def test_as_many_units_at_once_as_all_that_serve_them_bear_and_one_where_nobody_does() -> None:
    router = Router([Told(policy=QUICK.model_copy(update={"concurrency": 2})), Other()])
    assert router.concurrency(DAILY_KLINE, Grain.SESSION) == 2 + QUICK.concurrency
    assert router.concurrency(ADJ_FACTOR, Grain.CODE) == 1


@pytest.mark.parametrize(("failure", "others"), [(FailureClass.PERMANENT_API, 1), (FailureClass.PERMANENT_SOURCE, 0)])
def test_a_failure_for_good_takes_out_the_api_or_the_whole_source_and_costs_one_call(
    failure: FailureClass, others: int
) -> None:
    first, second = Told(fails(failure)), Other()
    router = Router([first, second])
    for _ in range(2):
        assert router.fetch(DAILY_KLINE, UNIT, judge).source == "second"
    assert first.asked == 1
    first.answer = good
    assert router.fetch(ADJ_FACTOR, UNIT, judge).source == ("first" if others else "second")
    assert first.asked == 1 + others
    assert Router([first]).fetch(DAILY_KLINE, UNIT, judge).source == "first", "for that router's life only"


def test_the_routers_of_one_command_know_of_a_lasting_failure_and_those_of_the_next_do_not() -> None:
    refusing = Told(fails(FailureClass.PERMANENT_SOURCE, "*"))
    with one_command():
        for _ in range(3):
            assert Router([refusing, Other()]).fetch(DAILY_KLINE, UNIT, judge).source == Other.name
        assert refusing.asked == 1
    Router([refusing, Other()]).fetch(DAILY_KLINE, UNIT, judge)
    assert refusing.asked == 2


def test_who_has_no_token_is_not_planned_with_and_named_where_nobody_else_serves() -> None:
    without = Told()
    without.away = "no token"
    router = Router([without])
    assert router.serving(DAILY_KLINE, Grain.SESSION) == ()
    with pytest.raises(Unanswered, match=r"no token \[permanent_source\]"):
        router.fetch(DAILY_KLINE, UNIT, judge)


def test_a_passing_failure_takes_nobody_out() -> None:
    first = Told(fails(FailureClass.RETRYABLE))
    router = Router([first, Other()])
    router.fetch(DAILY_KLINE, UNIT, judge)
    router.fetch(DAILY_KLINE, UNIT, judge)
    assert first.asked == 2


def test_whether_any_source_could_have_a_code() -> None:
    first, second = Told(), Other()
    router = Router([first, second])
    assert router.could_have(DAILY_KLINE, "600000.SH")
    assert router.could_have(DAILY_KLINE, "920001.BJ"), "the second has it"
    assert not router.could_have(WEEKLY_KLINE, "600000.SH"), "nobody serves it"
    assert not router.could_have(DAILY_KLINE, "T00018.SH"), "no code, and nobody's"
    assert not Router([second]).could_have(DAILY_KLINE, "600000.SH")
    second.away = "no token"
    assert not router.could_have(DAILY_KLINE, "920001.BJ")
    first.answer = fails(FailureClass.PERMANENT_API)
    with pytest.raises(Unanswered):
        Router([first]).fetch(DAILY_KLINE, UNIT, judge)
    second.away = None
    router.fetch(DAILY_KLINE, UNIT, judge)
    assert not router.could_have(DAILY_KLINE, "600000.SH"), "who has it failed for good"


def test_a_text_that_is_no_code_is_asked_of_nobody() -> None:
    first = Told()
    with pytest.raises(Unanswered, match="first cannot have it"):
        Router([first]).fetch(DAILY_KLINE, Unit.code("T00018.SH", DAY, DAY), judge)
    assert first.asked == 0


def test_who_serves_a_data_set_and_is_not_in_use_is_named() -> None:
    source = Tushare()
    everyone = Router([]).not_in_use(DAILY_KLINE)
    assert {"tushare", "baostock", "akshare"} <= set(everyone)
    assert "ths" not in everyone, "it serves no bars"
    assert Router([source]).not_in_use(DAILY_KLINE) == [name for name in everyone if name != "tushare"]
    assert Router([source]).not_in_use(WEEKLY_KLINE) == Router([]).not_in_use(WEEKLY_KLINE), "this one has no weeks"
    source.away = "no token"
    assert Router([source]).not_in_use(DAILY_KLINE) == everyone
    source.away, source.answer = None, fails(FailureClass.PERMANENT_SOURCE)
    router = Router([source])
    with pytest.raises(Unanswered):
        router.fetch(DAILY_KLINE, UNIT, judge)
    assert router.not_in_use(DAILY_KLINE) == everyone


def implausible(*, impossible: bool) -> Callable[[pl.DataFrame, Source], Checked]:
    """Doubts every answer that has a row, and takes none that is empty."""

    def doubting(frame: pl.DataFrame, source: Source) -> Checked:
        checked = judge(frame, source)
        raise Implausible(f"{source.name} says so", checked, impossible=impossible)

    return doubting


def test_what_can_hardly_be_true_is_taken_when_nobody_says_better_and_what_cannot_be_on_two_words() -> None:
    first, second = Told(), Other()
    taken = Router([first]).fetch(DAILY_KLINE, UNIT, implausible(impossible=False))
    assert (taken.source, taken.doubt, taken.checked.good.height, taken.attempts) == ("first", "first says so", 1, 1)
    assert (first.asked, first.disowned) == (1, 1), "it would say the same again"
    with pytest.raises(Unanswered, match=r"first\.daily: first says so \[empty\]"):
        Router([first]).fetch(DAILY_KLINE, UNIT, implausible(impossible=True))
    taken = Router([first, second]).fetch(DAILY_KLINE, UNIT, implausible(impossible=True))
    assert (taken.source, taken.doubt, taken.calls, taken.attempts) == ("first", "first says so", 2, 2)
    second.answer = ROWS.clear
    with pytest.raises(Unanswered):
        Router([first, second]).fetch(DAILY_KLINE, UNIT, implausible(impossible=True))
    assert Router([second, first]).fetch(DAILY_KLINE, UNIT, implausible(impossible=False)).doubt == "first says so"


def test_a_better_answer_is_taken_without_a_doubt() -> None:
    def judged(frame: pl.DataFrame, source: Source) -> Checked:
        return implausible(impossible=False)(frame, source) if source.name == "first" else judge(frame, source)

    taken = Router([Told(), Other()]).fetch(DAILY_KLINE, UNIT, judged)
    assert (taken.source, taken.doubt, taken.calls, taken.attempts) == ("second", None, 2, 2)


def test_an_answer_over_which_the_judge_stumbles_is_its_source_s_failure() -> None:
    def stumbling(frame: pl.DataFrame, source: Source) -> Checked:
        if source.name == "first":
            raise KeyError("x" * 400)
        return judge(frame, source)

    first = Told()
    assert Router([first, Other()]).fetch(DAILY_KLINE, UNIT, stumbling).source == "second"
    assert (first.asked, first.disowned) == (2, 2)
    with pytest.raises(Unanswered) as failed:
        Router([first]).fetch(DAILY_KLINE, UNIT, stumbling)
    assert failed.value.failures[0].text == "its answer cannot be read: '" + "x" * 299
    assert (failed.value.calls, failed.value.attempts) == (2, 2)


def test_an_empty_answer_is_asked_for_again_after_pauses_that_double_and_end_at_sixteen_seconds(naps: list[float]) -> None:
    first = Told(ROWS.clear, QUICK.model_copy(update={"retries": 7, "backoff": 0.5}))
    answer = Router([first, Other()]).fetch(DAILY_KLINE, UNIT, judge)
    assert naps == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 16.0]
    assert (first.asked, answer.source, answer.attempts, answer.calls) == (8, "second", 9, 9)


def test_one_that_is_busy_is_left_to_its_work_where_another_shares_the_plan() -> None:
    both = {"first", "second"}
    inner: list[str] = []

    def while_busy(shared_by: set[str], at_once: int = 1) -> str:
        """Who answers a unit that is asked for while the first is busy with another."""
        policy = QUICK.model_copy(update={"concurrency": at_once})
        first, second = Told(policy=policy), Other(policy=policy)
        router = Router([first, second])

        def answer() -> pl.DataFrame:
            first.answer = good
            inner.append(router.fetch(DAILY_KLINE, UNIT, judge, shared_by=shared_by).source)
            return ROWS

        first.answer = answer
        assert router.fetch(DAILY_KLINE, UNIT, judge, shared_by=both).source == "first"
        assert router.fetch(DAILY_KLINE, UNIT, judge, shared_by=both).source == "first", "it is idle again"
        return inner.pop()

    assert while_busy(both) == "second"
    assert while_busy({"first"}) == "first", "nobody shares it: it waits for its turn"
    assert while_busy(set()) == "first", "the plan is not shared"
    assert Router([Told(), Other()]).fetch(DAILY_KLINE, UNIT, judge, shared_by={"second"}).source == "second"
    assert while_busy(both, 2) == "first", "it bears two at once"


def resting(wait: float, name: str = "first") -> Answer:
    def answer() -> pl.DataFrame:
        raise SourceError(FailureClass.CIRCUIT_OPEN, name, "daily", "left alone", wait=wait)

    return answer


def test_the_wait_is_for_the_first_that_may_be_asked_and_no_longer_than_a_second_at_a_time(naps: list[float]) -> None:
    first, second = Told(resting(5.0)), Other(resting(0.25))
    router = Router([first, second], patience=4.0)

    def back_after(count: int) -> Answer:
        def answer() -> pl.DataFrame:
            return ROWS if len(naps) >= count else resting(0.25, "second")()

        return answer

    second.answer = back_after(3)
    assert router.fetch(DAILY_KLINE, UNIT, judge).source == "second"
    assert naps == [0.25] * 3
    first.answer = second.answer = resting(3.0)
    naps.clear()
    with pytest.raises(Unanswered):
        router.fetch(DAILY_KLINE, UNIT, judge)
    assert naps == [1.0, 1.0], "as long as the wait ends within the patience, to the second"


class Stored(Other):
    """One that answers out of what is stored."""

    local = True


@pytest.mark.usefixtures("naps")
def test_while_others_rest_what_is_stored_is_looked_at_again_and_a_look_in_vain_is_no_call() -> None:
    """The calls of a unit said 62, while a server was asked three times; and another unit's rows, which it lacked, may come."""
    stored = Stored(ROWS.clear)
    with pytest.raises(Unanswered, match=r"second\.daily: nothing came") as unanswered:
        Router([Told(resting(3.0)), stored], patience=4.0).fetch(DAILY_KLINE, UNIT, judge)
    assert unanswered.value.calls == 3, "of the one that rests, in three rounds"
    assert stored.asked == 3 * (QUICK.retries + 1)
    stored.answer = lambda: ROWS if stored.asked > 10 else ROWS.clear()
    answer = Router([Told(resting(3.0)), stored], patience=4.0).fetch(DAILY_KLINE, UNIT, judge)
    assert answer.source == "second"


def test_patience_is_for_all_units_together_until_one_is_answered(naps: list[float]) -> None:
    first = Told(resting(2.0))
    router = Router([first], patience=3.0)
    with pytest.raises(Unanswered):
        router.fetch(DAILY_KLINE, UNIT, judge)
    assert naps == [1.0, 1.0]
    with pytest.raises(Unanswered):
        router.fetch(DAILY_KLINE, UNIT, judge)
    assert naps == [1.0, 1.0], "the second unit waits no more"
    first.answer = good
    router.fetch(DAILY_KLINE, UNIT, judge)
    first.answer = resting(2.0)
    with pytest.raises(Unanswered):
        router.fetch(DAILY_KLINE, UNIT, judge)
    assert naps == [1.0] * 4, "after an answer it is patient again"


def no_line(name: str) -> Answer:
    def answer() -> pl.DataFrame:
        raise SourceError(FailureClass.UNREACHABLE, name, "daily", "no connection came about")

    return answer


def test_that_there_is_no_network_is_found_out_once_for_all_routers_of_a_command(
    naps: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    first, second = Told(no_line("first")), Other(no_line("second"))
    with one_command():
        for sources in ([first], [first, second], [second]):
            with pytest.raises(Unanswered) as raised:
                Router(sources).fetch(DAILY_KLINE, UNIT, judge)
            assert raised.value.outage
        assert (sum(naps), first.asked, second.asked) == (60.0, 5, 1), "another job, and another source, wait no more"
        waits, waited = (record.getMessage() for record in caplog.records)
        assert waits.startswith("No source answers; trying again for up to 60 s: first.daily: no connection came about")
        assert waited.startswith("No source answered for 60 s: what is left fails at once")
        naps.append(60.0)
        first.answer = good
        router = Router([first, second])
        assert router.fetch(DAILY_KLINE, UNIT, judge).source == "first", "it is still tried now and then"
        first.answer = no_line("first")
        with pytest.raises(Unanswered):
            router.fetch(DAILY_KLINE, UNIT, judge)
        assert sum(naps) > 120.0, "after an answer there is patience again"
    with one_command():
        second.asked = 0
        Router([second, Told()]).fetch(DAILY_KLINE, UNIT, judge)
        assert second.asked == 1, "the next command finds out for itself"


def test_the_answers_of_one_source_renew_no_patience_with_another(naps: list[float]) -> None:
    away, there = Told(no_line("first")), Other()
    with one_command():
        for _ in range(4):
            with pytest.raises(Unanswered):
                Router([away], patience=100.0).fetch(DAILY_KLINE, UNIT, judge)
            assert Router([away, there]).fetch(DAILY_KLINE, UNIT, judge).source == "second"
    assert sum(naps) <= 100.0


def test_a_source_s_own_full_stop_is_not_followed_by_ours(caplog: pytest.LogCaptureFixture) -> None:
    def refuses() -> pl.DataFrame:
        raise SourceError(FailureClass.PERMANENT_API, "first", "daily", "抱歉，您没有接口访问权限。")

    Router([Told(refuses), Other()]).fetch(DAILY_KLINE, UNIT, judge)
    assert "抱歉，您没有接口访问权限. It is not asked for daily_kline again in this run" in caplog.text
    with speaking("zh"):
        assert "。。" not in retold(caplog.records[0].getMessage())


def test_a_failure_that_is_no_rest_is_not_waited_for(naps: list[float]) -> None:
    with pytest.raises(Unanswered):
        Router([Told(fails(FailureClass.RATE_LIMITED))]).fetch(DAILY_KLINE, UNIT, judge)
    assert naps == []
