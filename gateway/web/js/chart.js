// A small line chart: SVG for the lines, HTML for the words, so that nothing is stretched.

import { h, svg } from "./dom.js";

const WIDTH = 300;
const HEIGHT = 90;

const SPANS = [60, 120, 300]; // seconds

/** A chart of the latest points; each of `series` has a name, a key of a point, and a format. */
export function chart(title, series) {
  const paths = series.map((_, index) => svg("path", { class: `line line-${index}` }));
  const dots = series.map((_, index) => svg("path", { class: `line dot line-${index}` }));
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": title },
    svg("path", { class: "rule", d: `M0 ${HEIGHT - 0.5}H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}M0 .5H${WIDTH}` }), paths, dots);
  const top = h("span", { class: "top-value" });
  const left = h("span", {});
  const values = series.map((one, index) => h("dd", { class: `value line-${index}` }, "–"));
  const element = h("section", { class: "chart" },
    h("h3", {}, title),
    h("dl", { class: "now" }, series.map((one, index) => h("div", {}, h("dt", {}, one.name), values[index]))),
    h("div", { class: "plot" }, top, picture),
    h("p", { class: "axis" }, left, h("span", {}, "now")));

  function update(points, now) {
    const known = points.flatMap((point) => series.map((one) => point[one.key])).filter((value) => value !== null);
    const age = now - (points[0]?.time ?? now);
    const seconds = SPANS.find((span) => span >= age) ?? SPANS.at(-1);
    left.textContent = `${seconds / 60} min ago`;
    const most = roundUp(Math.max(...known, 0) || 1);
    top.textContent = series[0].format(most);
    const x = (point) => WIDTH * (1 - (now - point.time) / seconds);
    const y = (value) => HEIGHT - 1 - (HEIGHT - 2) * (value / most);
    series.forEach((one, index) => {
      const [line, alone] = trace(points, one.key, x, y);
      paths[index].setAttribute("d", line);
      dots[index].setAttribute("d", alone);
      const last = points.at(-1)?.[one.key] ?? null;
      values[index].textContent = last === null ? "–" : one.format(last);
    });
    picture.setAttribute("aria-label", `${title}: ${series.map((one) => summary(points, one)).join("; ")}`);
  }
  return { element, update };
}

/** Lines through what is known, and a dot for what stands alone between gaps. */
function trace(points, key, x, y) {
  let [line, alone] = ["", ""];
  points.forEach((point, index) => {
    if (point[key] === null) return;
    const place = `${x(point).toFixed(1)} ${y(point[key]).toFixed(1)}`;
    const before = (points[index - 1]?.[key] ?? null) !== null;
    const after = (points[index + 1]?.[key] ?? null) !== null;
    line += `${before ? "L" : "M"}${place}`;
    if (!before && !after) alone += `M${place}h.01`;
  });
  return [line, alone];
}

function summary(points, one) {
  const known = points.map((point) => point[one.key]).filter((value) => value !== null);
  if (!known.length) return `${one.name}: nothing yet`;
  return `${one.name}: ${one.format(known.at(-1))} last, ${one.format(Math.max(...known))} at most`;
}

/** The next of 1, 2, 5, 10, 20 … */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}
