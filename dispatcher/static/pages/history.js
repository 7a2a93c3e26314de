// The history: looks for news while it is seen, moves along rows by keys, selects a time by dragging.
// Without this file the list is a list, and each bar of the chart a link.
"use strict";

(() => {
  const LOOK_EVERY_MS = 5000;

  // ---- News: only while somebody sees the page ---------------------------------------------------

  const rowLinks = () => [...document.querySelectorAll("#list a.row-link")];

  setInterval(() => {
    const list = document.getElementById("list");
    if (list && list.hasAttribute("hx-get") && document.visibilityState === "visible") {
      list.dispatchEvent(new CustomEvent("history:look"));
    }
  }, LOOK_EVERY_MS);

  let known = new Set(rowLinks().map((link) => link.id));

  document.addEventListener("htmx:afterSettle", () => {
    const links = rowLinks();
    const fresh = links.filter((link) => !known.has(link.id));
    known = new Set(links.map((link) => link.id));
    for (const link of fresh) link.closest("tr").classList.add("fresh");
    const news = document.getElementById("news");
    if (!news || !fresh.length) return;
    news.textContent = fresh.length === 1 ? news.dataset.one : news.dataset.many.replace("%n", fresh.length);
  });

  // ---- Keys --------------------------------------------------------------------------------------

  const isTyping = (element) => element.closest("input, select, textarea, [contenteditable], pre, svg");

  function step(by) {
    const links = rowLinks();
    if (!links.length) return;
    const at = links.indexOf(document.activeElement);
    const next = at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + by, 0), links.length - 1);
    links[next].focus();
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const onRow = event.target.matches("a.row-link");
    if (event.key === "j" || (onRow && event.key === "ArrowDown")) step(1);
    else if (event.key === "k" || (onRow && event.key === "ArrowUp")) step(-1);
    else if (event.key === "/") document.getElementById("search")?.focus();
    else return;
    event.preventDefault();
  });

  // ---- The chart: dragging across bars selects from the first one to the last ----------------------

  const chart = document.querySelector("svg[data-range]");
  if (!chart) return;
  const bars = [...chart.querySelectorAll("a[data-since]")];
  let first = -1;
  let last = -1;

  function barAt(event) {
    const box = chart.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    return Math.min(Math.max(Math.floor(share * bars.length), 0), bars.length - 1);
  }

  function mark() {
    const [from, to] = [Math.min(first, last), Math.max(first, last)];
    bars.forEach((bar, number) => bar.classList.toggle("chosen", first >= 0 && from <= number && number <= to));
  }

  chart.addEventListener("dragstart", (event) => event.preventDefault());
  chart.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    first = last = barAt(event);
  });
  document.addEventListener("pointermove", (event) => {
    if (first < 0) return;
    last = barAt(event);
    if (first !== last) mark();
  });
  document.addEventListener("pointerup", () => {
    if (first < 0) return;
    const [from, to] = [Math.min(first, last), Math.max(first, last)];
    const hasDragged = from !== to;
    first = -1;
    if (!hasDragged) return; // the click goes to the bar's link
    const address = new URL(location.href);
    const since = new URL(bars[from].href.baseVal, location.href).searchParams.get("since");
    const until = new URL(bars[to].href.baseVal, location.href).searchParams.get("until");
    address.searchParams.set("since", since);
    address.searchParams.set("until", until);
    address.searchParams.delete("cursor");
    chart.addEventListener("click", (event) => event.preventDefault(), { capture: true, once: true });
    location.assign(address);
  });
  document.addEventListener("pointercancel", () => { first = -1; mark(); });
})();
