// A watchlist that moves: what changed is written into its row, which shows for a moment which way it went.
(() => {
  "use strict";
  const body = document.getElementById("quotes");
  const live = document.getElementById("live");
  if (!body || !live) return;
  const sources = { tencent: "腾讯", sina: "新浪", tushare: "Tushare" };
  const statuses = { suspended: "停牌", auction: "竞价" };
  const missing = "–";
  const known = new Map();
  const rows = new Map([...body.rows].map((row, place) => [row.dataset.code, { row, place, digits: Number(row.dataset.digits), hand: Number(row.dataset.hand) }]));
  const sort = document.getElementById("sort");
  let by = "pct", state = "waiting";

  const plain = (value, digits) =>
    value === null || value === undefined ? missing
      : value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", "−");
  const percent = (value) => (value === null ? missing : `${value > 0 ? "+" : ""}${plain(value, 2)}%`);
  const yi = (value) => (value === null ? missing : plain(value / 1e8, Math.abs(value) < 1e10 ? 2 : 0));
  const tone = (value) => (value > 0 ? "up" : value < 0 ? "down" : "flat");

  function write(cell, text, name) {
    if (cell.textContent !== text) cell.textContent = text;
    if (name !== undefined) cell.className = name;
  }

  function show(quote) {
    const { row, digits, hand } = rows.get(quote.ts_code);
    const before = known.get(quote.ts_code);
    const of = (name) => row.querySelector(`[data-of="${name}"]`);
    const colour = tone(quote.pct_chg);
    write(of("price"), plain(quote.price, digits), colour);
    write(of("pct_chg"), percent(quote.pct_chg), colour);
    write(of("change"), plain(quote.change, digits), colour);
    for (const name of ["open", "high", "low"]) write(of(name), plain(quote[name], digits));
    write(of("volume"), plain(quote.volume === null || !hand ? null : quote.volume / hand / 1e4, 2));
    write(of("amount"), yi(quote.amount));
    write(of("time"), quote.exchange_time ? quote.exchange_time.slice(11, 19) : missing);
    write(of("status"), statuses[quote.status] ?? "");
    row.classList.toggle("stale", quote.stale);
    if (before && before.price !== null && quote.price !== null && before.price !== quote.price) {
      row.classList.remove("rose", "fell");
      void row.offsetWidth; // the movement begins anew
      row.classList.add(quote.price > before.price ? "rose" : "fell");
    }
    known.set(quote.ts_code, { ...quote, at: performance.now() - 1000 * quote.age });
  }

  function order() {
    const key = { place: (code) => -rows.get(code).place, pct: (code) => known.get(code)?.pct_chg ?? Number(rows.get(code).row.dataset.pct ?? -Infinity), amount: (code) => known.get(code)?.amount ?? Number(rows.get(code).row.dataset.amount ?? -Infinity) }[by];
    const wanted = [...rows.keys()].sort((one, other) => key(other) - key(one) || rows.get(one).place - rows.get(other).place);
    wanted.forEach((code, place) => {
      if (body.rows[place] !== rows.get(code).row) body.insertBefore(rows.get(code).row, body.rows[place] ?? null);
    });
  }

  // The newest quote says how things stand: who said it, and how long ago.
  function tell() {
    const quotes = [...known.values()];
    const newest = quotes.reduce((one, other) => (one && one.at > other.at ? one : other), null);
    const closed = quotes.length > 0 && quotes.every((quote) => quote.status === "closed" || quote.status === "suspended");
    const stale = quotes.filter((quote) => quote.stale).length;
    const age = newest ? Math.max(0, Math.round((performance.now() - newest.at) / 1000)) : 0;
    const ago = age < 90 ? `${age} 秒前 s ago` : `${Math.round(age / 60)} 分钟前 min ago`;
    let now = state, text;
    if (state === "waiting") text = "连接中 connecting";
    else if (state === "lost") text = "连接已断，重连中 connection lost, trying again";
    else if (!newest && body.dataset.closes && !("due" in body.dataset)) { now = "closed"; text = `未开盘，以下为 ${body.dataset.closes} 收盘 closed, these are closes`; }
    else if (!newest) text = "已连接，尚无行情 connected, no quote yet";
    else if (stale) { now = "stale"; text = `${stale} 个陈旧 stale · ${sources[newest.source] ?? newest.source} · ${ago}`; }
    else if (closed) { now = "closed"; text = `已收盘 closed · ${sources[newest.source] ?? newest.source}`; }
    else text = `实时 live · ${sources[newest.source] ?? newest.source} · ${ago}`;
    live.dataset.state = now;
    write(live.querySelector("span"), text);
  }

  liveQuotes([...rows.keys()], {
    quotes(quotes) {
      for (const quote of quotes) if (rows.has(quote.ts_code)) show(quote);
      order();
      tell();
    },
    state(now) {
      state = now;
      body.classList.toggle("lost", now === "lost");
      tell();
    },
  });
  sort.hidden = false;
  order();
  sort.addEventListener("click", (event) => {
    if (!event.target.dataset.by) return;
    by = event.target.dataset.by;
    for (const button of sort.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.dataset.by === by));
    order();
  });
  setInterval(tell, 1000);
})();
