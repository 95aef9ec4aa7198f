// Draws every figure of the page: <div class="figure" data-figure="id of its JSON">, in the stylesheet's colours, light and dark.
(() => {
  "use strict";
  if (!window.Plotly) return;
  const places = [...document.querySelectorAll(".figure[data-figure]")];

  // "var(--up)" -> "#cf2b36"
  function coloured(value, style) {
    if (typeof value === "string")
      return value.includes("var(--") ? value.replace(/var\((--[\w-]+)\)/g, (_, name) => style.getPropertyValue(name).trim()) : value;
    if (Array.isArray(value)) return value.map((each) => coloured(each, style));
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, coloured(each, style)]));
    return value;
  }

  function draw(place) {
    const figure = coloured(JSON.parse(document.getElementById(place.dataset.figure).textContent), getComputedStyle(document.documentElement));
    if (place.clientWidth < 500) figure.layout.xaxis.nticks = Math.min(figure.layout.xaxis.nticks || 4, 4);
    return Plotly.react(place, figure.data, figure.layout, { responsive: true, displayModeBar: false }).then(() => (place.dataset.drawn = "yes"));
  }

  places.forEach(draw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => places.forEach(draw));
})();
