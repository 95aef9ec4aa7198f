import time, datetime as dt
from quant_pipeline_tests.conftest import *
from quant_pipeline.market.xshg import xshg
from quant_pipeline.market.datasets import *
from quant_pipeline.sync.insight import status, history, health, stats
from quant_pipeline.sources.policy import DEFAULT_POLICIES
def took(name, f):
    t=time.time(); r=f(); print(f"{name}: {time.time()-t:.2f} s"); return r
def test_time(warehouse, monkeypatch):
    monkeypatch.setenv("QUANT_NOW","2026-11-20T18:00")
    cal=took("calendar", xshg)
    took("status of nothing, first", lambda: status.status_of(warehouse,cal))
    took("status of nothing, second", lambda: status.status_of(warehouse,cal))
    days=cal.window(dt.date(2026,11,20), 4860)
    with warehouse.connect() as c:
        c.execute("insert into sync_runs(id,trigger,status,process,presence) values('r','t','success','p',1)")
        for x in SOURCED.values():
            c.execute("insert into sync_items(sync_run,dataset,unit,trade_date,status,source,rows) select 'r',%s,d::text,case when %s then d end,'success','tushare',5400 from unnest(%s::date[]) d", (x.name, x.dated, list(days)))
        c.execute("insert into sync_items(sync_run,dataset,unit,ts_code,status) select 'r','daily_kline', n||' 2026-11-02..2026-11-20', n::text,'success' from generate_series(600000,620000) n")
        c.execute("insert into source_state(source,api) values ('tushare','daily'),('tushare','adj_factor'),('baostock','x')")
        c.execute("insert into source_calls(source,api,started_at,finished_at,outcome,process,presence) select 'tushare', case mod(n,2) when 0 then 'daily' else 'adj_factor' end, now()-n*interval '1 s', now()-n*interval '1 s','ok','p',1 from generate_series(1,300000) n")
        c.execute("analyze")
    for _ in range(2): took("status of 130k items", lambda: status.status_of(warehouse,cal))
    for _ in range(2): took("history", lambda: history.runs(warehouse))
    for _ in range(2): took("health of 300k calls", lambda: health.health_of(warehouse, DEFAULT_POLICIES, {"tushare":1,"baostock":2}))
    took("stats of empty", lambda: stats.stats_of(warehouse, stats.chosen([])))
    with warehouse.connect() as c:
        c.execute("alter table daily_kline drop constraint daily_kline_pkey"); c.execute("drop index daily_kline_ts_code")
        t=time.time()
        c.execute("insert into daily_kline (ts_code,trade_date,open,high,low,close,pre_close,vol,amount,source) select (600000+n)||'.SH', d, 1,1,1,1,1,1,1, case when mod(n,20)=0 then 'baostock' else 'tushare' end from unnest(%s::date[]) d, generate_series(1,2700) n", (list(days),))
        print("insert", time.time()-t)
    for _ in range(2): took("stats of 13.1 M bars", lambda: print(stats.stats_of(warehouse, [DAILY_KLINE]).rows()))
    with warehouse.connect() as c: c.execute("analyze daily_kline")
    took("stats of 13.1 M bars, analyzed", lambda: stats.stats_of(warehouse, [DAILY_KLINE]))
    with warehouse.connect() as c:
        took("plain count distinct", lambda: c.execute("select source,count(*),min(trade_date),max(trade_date),count(distinct ts_code) from daily_kline group by 1").fetchall())
