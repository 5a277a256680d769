"use strict";
// Follows a run: the server sends the page's content again when it changes. `report.js` has drawn it once.

const state = element("p", "live", "connecting");
state.setAttribute("role", "status");
document.querySelector("header").append(state);

const asked = new URLSearchParams(location.search);
if (asked.has("run")) {
  asked.delete("run");
  const all = element("a", "", "All runs");
  all.href = `./?${asked}`;
  document.querySelector("nav").prepend(all);
}

/** What the charts were built for: with other lines the page starts anew. */
const shape = (of) => JSON.stringify([of.groups, of.charts.map((chart) => chart.lines.map((line) => [isEmpty(line), "low" in line]))]);

function replaceCharts(fresh) {
  const all = zoomed[0] === everything[0] && zoomed[1] === everything[1];
  data = fresh;
  everything = ends();
  if (all) zoomed = [...everything];
  for (const { u, tell, place } of charts) {
    u.setData(columns(data.charts[place]).columns, false);
    u.setScale("x", { min: zoomed[0], max: zoomed[1] });
    tell(u);
  }
}

/** Puts new HTML in its place, and keeps what a reader has opened, sorted or scrolled. It was escaped by the server. */
function replacePart(place, html) {
  // A reader who stands in a part with the keyboard keeps it until the focus moves on.
  if (place.dataset.html === html || place.contains(document.activeElement)) return;
  place.dataset.html = html;
  const open = [...place.querySelectorAll("details")].map((details) => details.open);
  const scrolled = [...place.querySelectorAll("pre")].map((pre) => pre.scrollTop);
  const headings = [...place.querySelectorAll(".sortable th[scope=col]")];
  const sorted = headings.findIndex((heading) => heading.hasAttribute("aria-sort"));
  const down = headings[sorted]?.getAttribute("aria-sort") === "descending";
  place.innerHTML = html;
  place.querySelectorAll("details").forEach((details, at) => { details.open = open[at] ?? false; });
  place.querySelectorAll("pre").forEach((pre, at) => { pre.scrollTop = scrolled[at] ?? 0; });
  place.querySelectorAll("table.sortable").forEach(sortable);
  const button = place.querySelectorAll(".sortable thead button")[sorted];
  for (let click = 0; button && click <= Number(down); click++) button.click();
}

const source = new EventSource(`events${location.search}`);
source.onopen = () => { state.textContent = "live"; };
source.onerror = () => { state.textContent = source.readyState === EventSource.CLOSED ? "the server has refused: reload the page" : "no connection, trying again"; };
source.onmessage = (event) => {
  const content = JSON.parse(event.data);
  if (shape(content.data) !== shape(data)) {
    source.close();
    location.reload();
    return;
  }
  replaceCharts(content.data);
  for (const [name, html] of Object.entries(content.parts)) {
    const place = document.querySelector(`[data-part="${name}"]`);
    if (place) replacePart(place, html);
  }
};
