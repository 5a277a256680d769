"use strict";
// Draws the charts of the page's data, and makes its tables sortable. Text enters the page by textContent only.

let data = JSON.parse(document.getElementById("data").textContent);
const COLOURS = 7;
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]];
const shown = data.groups.map(() => true);
const charts = [];
let everything = ends();
let zoomed = [...everything];

/** The first and the last step of all lines. */
function ends() {
  const steps = (at) => data.charts.flatMap((chart) => chart.lines.flatMap((line) => line.x.slice(...at)));
  return [Math.min(...steps([0, 1])), Math.max(...steps([-1]))];
}

const isEmpty = (line) => line.y.every((value) => value == null);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const colour = (group) => css(`--run-${group % COLOURS}`);
const dash = (group) => DASHES[Math.floor(group / COLOURS) % DASHES.length];
const number = (value) => value == null ? "–" : String(Number(value.toPrecision(4)));

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** A short piece of the group's line. Its colour is the stylesheet's, so it follows the colour scheme. */
function swatch(group) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("width", "24");
  svg.setAttribute("height", "4");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(svg.namespaceURI, "line");
  const look = { x1: 0, y1: 2, x2: 24, y2: 2, "stroke-width": 3, "stroke-dasharray": dash(group).join(" ") };
  for (const [key, value] of Object.entries(look)) line.setAttribute(key, value);
  line.style.stroke = `var(--run-${group % COLOURS})`;
  svg.append(line);
  return svg;
}

/** The last index at or before `at` whose value is known, or else the next one. Lines have steps of their own. */
function nearest(values, at, xs, x) {
  let before = at, after = at;
  while (before >= 0 && values[before] == null) before--;
  while (after < values.length && values[after] == null) after++;
  if (before < 0) return after < values.length ? after : null;
  if (after >= values.length) return before;
  return x - xs[before] <= xs[after] - x ? before : after;
}

/** uPlot's columns and series of a chart: for each group its mean, and the two sides of its band if it has one. */
function columns(chart) {
  const tables = [], series = [{}], bands = [], means = [];
  chart.lines.forEach((line, group) => {
    const look = {
      label: data.groups[group], group, stroke: () => colour(group), width: 1.75, dash: dash(group), show: shown[group],
      points: { show: chart.points || line.x.length < 2, size: 5, fill: () => colour(group) },
    };
    tables.push([line.x, line.y]);
    means.push(series.push(look) - 1);
    if (!line.low) return;
    tables[tables.length - 1].push(line.high, line.low);
    const side = { group, width: 0, stroke: "transparent", points: { show: false }, show: shown[group], side: true };
    const high = series.push({ ...side }) - 1;
    series.push({ ...side });
    bands.push({ series: [high, high + 1], fill: () => `color-mix(in srgb, ${colour(group)} 20%, transparent)` });
  });
  // With the ends of all charts in it, each chart begins with the same steps.
  return { columns: uPlot.join([[[...new Set(everything)]], ...tables]), series, bands, means };
}

function axes() {
  const look = { stroke: () => css("--quiet"), grid: { stroke: () => css("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  return [{ ...look, space: 70 }, { ...look, size: 58, values: (_, splits) => splits.map((value) => value == null ? "" : number(value)) }];
}

function draw(chart, place) {
  const card = element("section", "chart");
  const plot = element("div", "plot");
  const values = element("div", "values");
  const step = element("p", "step");
  card.append(element("h3", "", chart.title), element("p", "hint", chart.hint), plot, step, values);
  document.querySelector(".charts").append(card);
  if (chart.lines.every(isEmpty)) {
    plot.replaceWith(element("p", "note", "No run has this yet."));
    return;
  }
  const { columns: table, series, bands, means } = columns(chart);
  const tell = (u) => {
    const at = u.cursor.idx;
    const last = at == null;
    step.textContent = last ? "last values" : `step ${u.data[0][at]}`;
    values.replaceChildren();
    for (const index of means) {
      if (!u.series[index].show) continue;
      const column = u.data[index];
      const found = nearest(column, last ? column.length - 1 : at, u.data[0], u.data[0][last ? column.length - 1 : at]);
      const band = u.series[index + 1]?.side && found != null && u.data[index + 1][found] != null
        ? ` (${number(u.data[index + 2][found])} to ${number(u.data[index + 1][found])})` : "";
      const other = !last && found != null && found !== at ? ` at ${u.data[0][found]}` : "";
      values.append(swatch(u.series[index].group), element("bdi", "", u.series[index].label), element("span", "", (found == null ? "–" : number(column[found])) + band + other));
    }
  };
  const u = new uPlot({
    width: plot.clientWidth, height: 240, series, bands, axes: axes(), scales: { x: { time: false } }, legend: { show: false },
    cursor: {
      sync: { key: "steps", setSeries: false }, drag: { x: true, y: false }, y: false,
      dataIdx: (u, index, at, x) => index === 0 ? at : nearest(u.data[index], at, u.data[0], x),
      points: { show: (u, index) => !u.series[index].side && undefined },
    },
    hooks: {
      setCursor: [tell],
      setScale: [(u, key) => { if (key === "x") zoomTo(u.scales.x.min, u.scales.x.max); }],
    },
  }, table, plot);
  tell(u);
  plot.tabIndex = 0;
  plot.setAttribute("role", "application");
  plot.setAttribute("aria-label", `${chart.title}: arrow keys move the cursor`);
  plot.addEventListener("keydown", (event) => moveCursor(u, event));
  new ResizeObserver(() => u.setSize({ width: plot.clientWidth, height: 240 })).observe(plot);
  charts.push({ u, tell, place });
}

function moveCursor(u, event) {
  const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20 }[event.key];
  if (!by) return;
  event.preventDefault();
  const xs = u.data[0];
  const at = Math.min(xs.length - 1, Math.max(0, (u.cursor.idx ?? (by > 0 ? -1 : xs.length)) + by));
  u.setCursor({ left: u.valToPos(xs[at], "x"), top: 0 });
}

/** All charts show the same steps. */
function zoomTo(min, max) {
  if (min == null || max == null || (min === zoomed[0] && max === zoomed[1])) return;
  zoomed = [min, max];
  for (const { u } of charts) if (u.scales.x.min !== min || u.scales.x.max !== max) u.setScale("x", { min, max });
}

function zoom(how) {
  const [min, max] = zoomed, width = max - min;
  const [from, to] = {
    in: [min + width / 4, max - width / 4], out: [min - width / 2, max + width / 2],
    left: [min - width / 2, max - width / 2], right: [min + width / 2, max + width / 2], all: everything,
  }[how];
  const shift = Math.max(0, everything[0] - from) - Math.max(0, to - everything[1]);
  const kept = to - from >= everything[1] - everything[0] ? everything : [from + shift, to + shift];
  zoomTo(...kept);
}

function legend() {
  const place = document.querySelector(".legend");
  data.groups.forEach((label, group) => {
    const button = element("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    button.append(swatch(group), element("bdi", "", label));
    button.addEventListener("click", () => {
      shown[group] = !shown[group];
      button.setAttribute("aria-pressed", String(shown[group]));
      for (const { u, tell } of charts) {
        u.batch(() => u.series.forEach((series, index) => { if (index && series.group === group) u.setSeries(index, { show: shown[group] }); }));
        tell(u);
      }
    });
    place.append(button);
  });
}

/** Numbers by value, text by the alphabet, and what is not known last. */
function compare(a, b) {
  if ((a === "–") !== (b === "–")) return a === "–" ? Infinity : -Infinity;
  const [x, y] = [Number(a), Number(b)];
  return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
}

function sortable(table) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = element("button", "", heading.textContent);
    button.type = "button";
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((one) => one.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const text = (row) => row.cells[column].textContent;
      const order = (a, b) => {
        const found = compare(text(a), text(b));
        return down && Number.isFinite(found) ? -found : found;
      };
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
    });
  });
}

legend();
data.charts.forEach(draw);
document.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", () => zoom(button.dataset.zoom)));
document.querySelectorAll("table.sortable").forEach(sortable);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach(({ u }) => u.redraw(false, true)));
