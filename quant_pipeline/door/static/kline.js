// Draws the K-line of the page: the stylesheet's colours into the figure, panels that fit what is in sight, range buttons.
(() => {
  "use strict";
  const place = document.getElementById("kline");
  const source = document.getElementById("kline-figure");
  if (!place || !source || !window.Plotly) return;
  const figure = JSON.parse(source.textContent);
  const candles = figure.data.find((trace) => trace.type === "candlestick");
  let count = candles.x.length;
  const phone = window.matchMedia("(max-width: 700px)");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const touched = window.matchMedia("(pointer: coarse)");
  const buttons = [...document.querySelectorAll(".spans button")];
  const fewest = 30;

  // "var(--up)" -> "#cf2b36"
  function coloured(value, style) {
    if (typeof value === "string")
      return value.includes("var(--") ? value.replace(/var\((--[\w-]+)\)/g, (_, name) => style.getPropertyValue(name).trim()) : value;
    if (Array.isArray(value)) return value.map((each) => coloured(each, style));
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, coloured(each, style)]));
    return value;
  }

  // The last `places` places of the axis; few bars are not blown up to towers.
  const lastPlaces = (places) => [count - Math.max(places, fewest) - 0.5 > -0.5 ? count - places - 0.5 : -0.5, Math.max(count, fewest) + 0.2];

  function extent(axis, [from, to]) {
    const first = Math.max(0, Math.ceil(from)), last = Math.min(count - 1, Math.floor(to));
    let low = Infinity, high = -Infinity;
    for (const trace of figure.data) {
      if (trace.yaxis !== axis || trace.x.length !== count) continue;
      for (const values of trace.type === "candlestick" ? [trace.low, trace.high] : [trace.y])
        for (let at = first; at <= last; at++) {
          const value = values[at];
          if (value === null || value === undefined) continue;
          if (value < low) low = value;
          if (value > high) high = value;
        }
    }
    return low <= high ? [low, high] : null;
  }

  // Days under the axis, evenly and off its ends, where they would be cut.
  function ticks([from, to]) {
    const end = Math.min(to, count - 0.5);
    const wanted = Math.ceil(((phone.matches ? 3 : 7) * (end - from)) / (to - from));
    const first = Math.min(count - 1, Math.ceil(from + (phone.matches ? 0.12 : 0.03) * (to - from)));
    const places = [...Array(wanted).keys()].map((at) => Math.max(first, Math.round(from + ((at + 0.5) / wanted) * (end - from))));
    return [...new Set(places)].filter((at) => at >= 0 && at < count).map((at) => candles.x[at]);
  }

  // Every axis, so that each panel is filled with what is in sight.
  function panels(range) {
    const fitted = { "xaxis.tickvals": ticks(range) };
    const price = extent("y", range), volume = extent("y2", range), indicator = extent("y3", range);
    if (price) {
      const room = (price[1] - price[0]) * 0.06 || price[1] * 0.02 || 1;
      fitted["yaxis.range"] = [price[0] - 1.5 * room, price[1] + room];
    }
    if (volume) fitted["yaxis2.range"] = [0, volume[1] * 1.25 || 1];
    if (indicator) {
      const room = (indicator[1] - indicator[0]) * 0.12 || 1;
      fitted["yaxis3.range"] = [indicator[0] - room, indicator[1] + 2 * room];
    }
    return fitted;
  }

  function draw(range) {
    const drawn = coloured(figure, getComputedStyle(document.documentElement));
    Object.assign(drawn.layout, { dragmode: touched.matches ? false : "pan" });
    drawn.layout.xaxis.range = range;
    for (const [name, value] of Object.entries(panels(range))) {
      const [axis, property] = name.split(".");
      drawn.layout[axis][property] = value;
    }
    return Plotly.react(place, drawn.data, drawn.layout, { responsive: true, displayModeBar: false, doubleClick: false });
  }

  const now = () => place.layout.xaxis.range.slice();
  const same = (one, other) => one && other && Math.abs(one[0] - other[0]) < 1e-6 && Math.abs(one[1] - other[1]) < 1e-6;

  function press() {
    const range = now();
    for (const button of buttons) {
      const places = button.dataset.places === "all" ? count : Number(button.dataset.places);
      button.setAttribute("aria-pressed", String(same(range, lastPlaces(places))));
    }
  }

  const legend = Object.fromEntries([...document.querySelectorAll("[data-line]")].map((each) => [each.dataset.line, each.querySelector("b")]));
  const digits = Number(place.dataset.digits);
  function tell(at) {
    for (const trace of figure.data) {
      if (!legend[trace.name]) continue;
      const value = trace.y[at];
      legend[trace.name].textContent = value === null ? "–" : value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    }
  }

  const start = lastPlaces(phone.matches ? 60 : 125);
  draw(start).then(() => {
    place.dataset.drawn = "yes";
    press();
    place.on("plotly_relayout", (changed) => {
      if (!("xaxis.range[0]" in changed || "xaxis.range" in changed)) return;
      const fitted = panels(now());
      press();
      Plotly.relayout(place, fitted);
    });
    place.on("plotly_hover", (event) => event.points.length && tell(event.points[0].pointIndex ?? event.points[0].pointNumber));
    place.on("plotly_unhover", () => tell(candles.close.findLastIndex((value) => value !== null)));
  });
  for (const button of buttons) {
    button.closest(".spans").hidden = false;
    button.hidden = button.dataset.places !== "all" && Number(button.dataset.places) >= count;
    button.addEventListener("click", () =>
      Plotly.relayout(place, { "xaxis.range": lastPlaces(button.dataset.places === "all" ? count : Number(button.dataset.places)) }));
  }
  dark.addEventListener("change", () => draw(now()));

  // For candle.js: the figure, and how it is drawn anew after its last bar changed or one was added.
  window.drawnKline = {
    figure,
    candles,
    redraw() {
      const added = candles.x.length - count, range = now(), atEnd = range[1] >= count - 0.5;
      count = candles.x.length;
      return draw(atEnd ? range.map((end) => end + added) : range);
    },
  };
})();
