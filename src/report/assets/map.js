"use strict";
// Draws features on a plane, coloured by class; the point under the pointer, or chosen by arrow keys, shows its thumbnail.

const RADIUS = 3.5;
const MARGIN = 16;

/** Colours that differ in lightness, too, where there are many classes. */
const classColour = (at, count) => `hsl(${Math.round((360 * at) / count)} 70% ${at % 2 ? 62 : 46}%)`;

function drawMap(place, map) {
  const canvas = element("canvas");
  const told = element("p", "told", "Point at a dot, or press an arrow key on the map.");
  const thumbnail = element("canvas", "thumbnail");
  const sheet = new Image();
  const hidden = new Set();
  let [kind] = map.kinds, chosen = null, pixels = [];
  sheet.src = map.thumbnails;
  thumbnail.width = thumbnail.height = map.side;
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", "Map of features: arrow keys choose an image");
  told.setAttribute("aria-live", "polite");

  const paint = () => {
    const { clientWidth: width, clientHeight: height } = canvas, scale = devicePixelRatio || 1;
    canvas.width = width * scale;
    canvas.height = height * scale;
    const [, points] = kind;
    const range = (axis) => [Math.min(...points.map((point) => point[axis])), Math.max(...points.map((point) => point[axis]))];
    const fit = ([least, most], length) => (value) => MARGIN + ((value - least) / (most - least || 1)) * (length - 2 * MARGIN);
    const [x, y] = [fit(range(0), width), fit(range(1), height)];
    pixels = points.map((point) => [x(point[0]), y(point[1])]);
    const context = canvas.getContext("2d");
    context.scale(scale, scale);
    const dot = (at, radius) => {
      context.beginPath();
      context.arc(...pixels[at], radius, 0, 2 * Math.PI);
      context.fillStyle = classColour(map.class[at], map.classes.length);
      context.fill();
    };
    pixels.forEach((_, at) => { if (!hidden.has(map.class[at])) dot(at, RADIUS); });
    if (chosen === null) return;
    dot(chosen, 2 * RADIUS);
    context.strokeStyle = css("--text");
    context.lineWidth = 2;
    context.stroke();
  };
  const choose = (at) => {
    if (at === chosen) return;
    chosen = at;
    told.textContent = `${map.classes[map.class[at]]} – ${map.places[at]}`;
    const [left, top] = [(at % map.columns) * map.side, Math.floor(at / map.columns) * map.side];
    thumbnail.getContext("2d").drawImage(sheet, left, top, map.side, map.side, 0, 0, map.side, map.side);
    paint();
  };
  const visible = () => pixels.map((_, at) => at).filter((at) => !hidden.has(map.class[at]));
  canvas.addEventListener("pointermove", ({ offsetX, offsetY }) => {
    const distance = (at) => Math.hypot(pixels[at][0] - offsetX, pixels[at][1] - offsetY);
    const near = visible().reduce((best, at) => (best === null || distance(at) < distance(best) ? at : best), null);
    if (near !== null && distance(near) < 20) choose(near);
  });
  canvas.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    const order = visible();
    if (!by || !order.length) return;
    event.preventDefault();
    choose(order[(order.indexOf(chosen) + by + order.length) % order.length]);
  });

  const buttons = map.kinds.map((of) => {
    const button = element("button", "", of[0]);
    button.type = "button";
    button.setAttribute("aria-pressed", String(of === kind));
    button.addEventListener("click", () => {
      kind = of;
      buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
      paint();
    });
    return button;
  });
  const classes = map.classes.map((name, at) => {
    const button = element("button", "");
    const mark = element("span", "mark");
    mark.style.background = classColour(at, map.classes.length);
    button.type = "button";
    button.append(mark, element("bdi", "", name || "no class"));
    button.setAttribute("aria-pressed", "true");
    button.addEventListener("click", () => {
      if (!hidden.delete(at)) hidden.add(at);
      button.setAttribute("aria-pressed", String(!hidden.has(at)));
      paint();
    });
    return button;
  });
  const group = (className, label, children) => {
    const made = element("div", className);
    made.setAttribute("role", "group");
    made.setAttribute("aria-label", label);
    made.append(...children);
    return made;
  };
  const shown = element("div", "shown");
  shown.append(thumbnail, told);
  place.append(group("kinds", "Kind of map", buttons), canvas, shown, group("legend", "Shown classes", classes));
  new ResizeObserver(paint).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
}

document.querySelectorAll("[data-map]").forEach((place) => drawMap(place, data.maps[place.dataset.map]));
