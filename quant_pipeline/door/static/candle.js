// The K-line's last candle moves with the live quote: today's is added to days, and joined to the running week or month.
(() => {
  "use strict";
  const place = document.getElementById("kline");
  const head = document.querySelector(".quote .last");
  if (!place || !head || !window.drawnKline || !window.liveQuotes) return;
  const { figure, candles, redraw } = window.drawnKline;
  const { code, freq, shown, today } = place.dataset;
  const digits = Number(place.dataset.digits), hand = Number(place.dataset.hand);
  const volumes = figure.data.find((trace) => trace.type === "bar" && trace.yaxis === "y2");
  const last = candles.close.findLastIndex((value) => value !== null);
  const stored = { close: candles.close[last], high: candles.high[last], low: candles.low[last], volume: volumes.y[last] };
  const monday = (day) => { const date = new Date(`${day}T00:00:00Z`); return date.getTime() - ((date.getUTCDay() + 6) % 7) * 86400000; };
  const periods = { D: (day) => day, W: monday, M: (day) => day.slice(0, 7) };
  const joined = freq !== "D" && periods[freq](candles.x[last]) === periods[freq](today);
  const before = joined ? candles.close.slice(0, last).findLast((value) => value !== null) ?? stored.close : stored.close;
  const tick = 10 ** -digits;
  let at = joined ? last : -1;

  const plain = (value) => value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", "−");
  const signed = (value, text) => (value > 0 ? `+${text}` : text);

  // What the shown prices are to the traded ones. On an ex-date the history of 前复权 has another scale from today on: none.
  function scaled(quote) {
    if (shown === "raw") return 1;
    if (shown === "hfq") return stored.close / quote.pre_close;
    return Math.abs(stored.close - quote.pre_close) < tick / 2 ? 1 : null;
  }

  function add() {
    at = candles.x.length;
    for (const trace of figure.data.filter((each) => each.x.length === at && each.mode !== "markers")) {
      trace.x.push(today);
      if (trace.y) trace.y.push(null);
    }
    for (const name of ["open", "high", "low", "close", "hovertext"]) candles[name].push(null);
    volumes.marker.color.push("var(--flat)");
  }

  function move(quote) {
    if (quote.price === null || quote.open === null || !quote.pre_close || quote.status === "suspended") return;
    if (!quote.exchange_time || quote.exchange_time.slice(0, 10) !== today || candles.x[last] >= today) return;
    const time = quote.exchange_time.slice(11, 19), factor = scaled(quote);
    const change = factor === null || freq === "D" ? quote.change : quote.price * factor - before;
    const pct = factor === null || freq === "D" ? quote.pct_chg : ((quote.price * factor) / before - 1) * 100;
    const [price, by, per] = [head.querySelector("b"), ...head.querySelectorAll("span")];
    price.textContent = plain(quote.price * (factor ?? 1));
    by.textContent = signed(change, plain(freq === "D" ? change * (factor ?? 1) : change));
    per.textContent = signed(pct, `${pct.toFixed(2).replace("-", "−")}%`);
    head.className = `last ${change > 0 ? "up" : change < 0 ? "down" : "flat"}`;
    head.querySelector("small").textContent =
      `${quote.stale ? "陈旧 stale" : "实时 live"} ${time}${factor === null ? "，今日除权除息，同步后画出 ex-date today" : ""}`;
    if (factor === null) return;
    if (at < 0) add();
    const prices = Object.fromEntries(["open", "high", "low", "price"].map((name) => [name, quote[name] * factor]));
    if (!joined) candles.open[at] = prices.open;
    candles.high[at] = joined ? Math.max(stored.high, prices.high) : prices.high;
    candles.low[at] = joined ? Math.min(stored.low, prices.low) : prices.low;
    candles.close[at] = prices.price;
    candles.hovertext[at] =
      `<b>${today} ${time} 实时</b><br>开 ${plain(candles.open[at])}　高 ${plain(candles.high[at])}<br>` +
      `低 ${plain(candles.low[at])}　现价 <b>${plain(prices.price)}</b><br>涨跌幅 <b>${per.textContent}</b>`;
    if (hand && quote.volume !== null) volumes.y[at] = (joined ? stored.volume : 0) + quote.volume / hand / 1e4;
    volumes.marker.color[at] = candles.close[at] >= candles.open[at] ? "var(--up)" : "var(--down)";
    redraw().then(() => { place.dataset.live = time; });
  }

  liveQuotes([code], { quotes: (quotes) => quotes.forEach(move), state() {} });
})();
