// In Dagster's pages, what everybody does next is done by itself. Each of these acts once on what it knows by sight; where Dagster
// changes a page, that page is as Dagster made it (test_ui.py tells which).
//
// 1. "Launch runs to materialize …" opens with no partition chosen and a grey button: the latest is chosen whose data can exist.
//    Dagster's own "Latest" is today's from midnight on.
// 2. A job's launchpad opens with no partition, and a run without one asks "Are you sure?": the same. One that was chosen so
//    before, and is the latest no more, gives way: the launchpad remembers, and would run yesterday's today.
// 3. A group that is opened in the lineage stays where its header was, at the same zoom, so that of `market` one asset is in sight:
//    the window is fitted to it. Assets are drawn with four lines, not seven, until the user chooses which: so more of them fit.
(() => {
  "use strict";
  const QUIET = 120; // ms without a change: while a page is being drawn it says "0 partitions" of a dialog that has one
  const SHUT = 120; // a closed group is 110 high
  const SEARCH_BAR = 60; // it lies over the graph
  const CLICK = 3000; // ms from the click on a group to its place in the address, on a busy machine
  const LINES = ["status", "checks", "latest-event", "partitions"];
  const seen = new WeakSet();
  const drawn = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  const texts = (place, selector, text) => [...place.querySelectorAll(selector)].filter((each) => each.textContent === text);

  function first(element) {
    if (!element || seen.has(element)) return false;
    seen.add(element);
    return true;
  }

  const latestOf = async (what) => (await fetch(`/quant_pipeline/latest?${new URLSearchParams(what)}`)).json();

  function type(field, text) {
    field.focus();
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(field, text);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  async function chooseInDialog() {
    const dialog = document.querySelector(".dagster-dialog");
    const latest = dialog && texts(dialog, "button", "Latest")[0];
    const field = dialog?.querySelector('input[type="text"]');
    const untouched = () => texts(dialog, "div, span", "0 partitions").length && document.activeElement !== field;
    if (!first(latest) || !untouched()) return;
    const title = dialog.innerText.match(/^Launch runs to materialize (\w+)$/m);
    const keys = await latestOf({ asset: title ? title[1] : "" });
    if (!untouched()) return; // a hand was faster
    latest.click();
    await drawn();
    if (keys.includes(field.value)) return;
    type(field, keys.length === 1 ? keys[0] : ""); // Dagster's last one is today's, of which there are no data yet
    await drawn();
    field.blur(); // it is read then
  }

  async function chooseInLaunchpad() {
    const [, job] = window.location.pathname.match(/^\/locations\/[^/]+\/jobs\/([^/]+)\/playground/) || [];
    const field = document.querySelector('input[placeholder="Partition"]');
    // The button beside it, which sorts them, comes with the partitions.
    if (!job || !field?.parentElement.parentElement.querySelector("button") || !first(field)) return;
    const chosen = `quant_pipeline.latest-of.${job}`;
    const before = field.value;
    if (before && before !== localStorage.getItem(chosen)) return;
    const [latest] = await latestOf({ job: decodeURIComponent(job) });
    const touched = field.value !== before || document.activeElement === field || !field.isConnected;
    if (!latest || latest === before || touched) return;
    type(field, latest); // in the list, which opens, it is the only one left
    await drawn();
    const [item] = texts(document, '[role="menuitem"]', latest);
    if (!item) return;
    localStorage.setItem(chosen, latest);
    item.click();
  }

  const openNow = () => (new URLSearchParams(window.location.search).get("expanded") || "").split(",").filter(Boolean);
  let open = openNow();
  let clicked = -Infinity; // when a group was; groups that were open before come from the browser's storage, unasked
  let fitted = null; // the path of names, outermost first, of the group to which the window is being fitted
  let turns = 0;

  function followGroups() {
    const [before, now] = [open, openNow()];
    open = now;
    const newest = now.at(-1);
    if (newest && !before.includes(newest) && performance.now() - clicked < CLICK) {
      fitted = newest.split(":").pop().split("/");
      turns = 8;
    }
    if (fitted) turn();
  }

  function opened([...names]) {
    const boxes = (name) => texts(document, "foreignObject.group", name).filter((box) => box.getAttribute("height") > SHUT);
    const name = names.pop();
    if (!names.length) return boxes(name)[0];
    const around = opened(names)?.getBoundingClientRect();
    return around && boxes(name).find((box) => around.top <= box.getBoundingClientRect().top && box.getBoundingClientRect().bottom <= around.bottom);
  }

  // One turn of the wheel nearer to it, as Dagster's graph takes it from a person: with ctrl it zooms.
  function turn() {
    const group = opened(fitted);
    const drawing = group?.closest("svg")?.parentElement;
    if (!drawing) return; // its assets are still to come
    const [box, view] = [group.getBoundingClientRect(), drawing.parentElement.getBoundingClientRect()];
    const [height, scale] = [view.height - SEARCH_BAR, new DOMMatrix(getComputedStyle(drawing).transform).a];
    const zoom = Math.min((0.95 * view.width) / box.width, (0.95 * height) / box.height, 1 / scale);
    const [clientX, clientY] = [view.left + view.width / 2, view.bottom - height / 2];
    const [deltaX, deltaY] = [box.left + box.width / 2 - clientX, box.top + box.height / 2 - clientY];
    const wheel = (how) => group.dispatchEvent(new WheelEvent("wheel", { bubbles: true, cancelable: true, clientX, clientY, ...how }));
    if (turns-- === 0) fitted = null;
    else if (Math.abs(zoom - 1) > 0.03) {
      const fine = (1 - zoom) * 100; // up to 30 it is a touchpad's, five times as far
      wheel({ ctrlKey: true, deltaY: Math.abs(fine) <= 30 ? fine : (1 - zoom) * 500 });
    } else if (Math.hypot(deltaX, deltaY) > 4) wheel({ deltaX: deltaX / 0.7, deltaY: deltaY / 0.7 });
    else fitted = null;
  }

  let soon = 0;
  const wait = () => {
    clearTimeout(soon);
    soon = setTimeout(() => {
      followGroups();
      // Where we cannot say which is the latest, whoever reads the page sees that none is chosen.
      for (const choose of [chooseInDialog, chooseInLaunchpad]) choose().catch(() => {});
    }, QUIET);
  };
  const leaveIt = (event) => event.isTrusted && (fitted = null);
  for (const hand of ["mousedown", "wheel"]) window.addEventListener(hand, leaveIt, { capture: true, passive: true });
  const noteGroup = (event) => event.target.closest?.("foreignObject.group") && (clicked = performance.now());
  window.addEventListener("click", noteGroup, { capture: true, passive: true });
  const watched = { childList: true, subtree: true, attributes: true, attributeFilter: ["style"] };
  document.addEventListener("DOMContentLoaded", () => new MutationObserver(wait).observe(document.body, watched));
  if (localStorage.getItem("asset-node-facets") === null) localStorage.setItem("asset-node-facets", JSON.stringify(LINES));
})();
