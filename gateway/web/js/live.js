// The view of what goes on: charts from the metrics, backends, routing and shadows.

import { ask, onKey } from "./api.js";
import { chart } from "./chart.js";
import { h } from "./dom.js";
import { milliseconds, number } from "./format.js";
import { keyNote } from "./key.js";
import { between, reading } from "./metrics.js";
import { backendsView, routingView } from "./status.js";

const EVERY_MS = 2000;
const WINDOW_S = 300;
const rate = (value) => `${number(value, 3)}/s`;

/** Fill the view; `run(true)` makes it follow, as long as somebody can see it. */
export function liveView(view) {
  const charts = [
    chart("Throughput", [{ name: "Requests", key: "requests", format: rate }, { name: "Rows", key: "rows", format: rate }, { name: "Failed", key: "failed", format: rate }]),
    chart("Latency", [{ name: "Median", key: "p50", format: milliseconds }, { name: "99 % within", key: "p99", format: milliseconds }]),
    chart("Batch size", [{ name: "Rows per call", key: "batch", format: (value) => number(value, 3) }]),
  ];
  const told = h("div", { role: "status" });
  const waiting = h("div", { role: "status" });
  const board = h("div", { class: "charts" }, charts.map((one) => one.element));
  const backends = h("section", { class: "block" });
  const routing = h("section", { class: "block" });
  const everything = h("div", {}, h("h2", { class: "unseen" }, "Traffic"), board, backends, routing);
  view.append(
    h("div", { class: "head" }, h("h1", { tabindex: "-1" }, "Live"),
      h("p", { class: "lead" }, "What this gateway answers, while you watch."), waiting, told),
    everything);

  const points = [];
  let before = null;
  let turn = 0; // 0 while nobody looks, else a number of its own for each time somebody does
  let turns = 0;

  async function look(mine) {
    let wait = EVERY_MS;
    try {
      if (!document.hidden) await refresh();
      told.replaceChildren();
      everything.hidden = false;
    } catch (problem) {
      if (problem.status === undefined) throw problem;
      wait = tell(problem);
    }
    if (turn === mine && wait > 0) setTimeout(() => turn === mine && look(mine), wait);
  }

  async function refresh() {
    const [metrics, states, policy, shadows] = await Promise.all([
      ask("metrics", { text: true }), ask("v1/backends"), ask("v1/routing"), ask("v1/shadow"),
    ]);
    const after = reading(metrics.content, performance.now() / 1000);
    const point = before === null ? null : between(before, after);
    before = after;
    if (point !== null) points.push(point);
    while (points.length && after.time - points[0].time > WINDOW_S) points.shift();
    charts.forEach((one) => one.update(points, after.time));
    backendsView(backends, states.content.backends, after.workers);
    routingView(routing, policy.content, shadows.content.models, after);
  }

  /** Say why the gateway is not ready; no reasons take it back. */
  function unready(reasons) {
    const text = reasons.join("\n");
    if (waiting.dataset.reasons === text) return;
    waiting.dataset.reasons = text;
    waiting.replaceChildren(...(reasons.length ? [h("div", { class: "note bad" },
      h("p", {}, h("strong", {}, "Not ready")),
      h("ul", {}, reasons.map((reason) => h("li", {}, reason))))] : []));
  }

  /** Say why there is nothing to see; gives the milliseconds after which to look again, or 0. */
  function tell(problem) {
    const [words, wait] = reason(problem);
    everything.hidden = before === null;
    if (told.dataset.status !== String(problem.status) || !told.firstChild) told.replaceChildren(words);
    told.dataset.status = problem.status;
    return wait;
  }

  function run(wanted) {
    if (wanted && turn === 0) before = null; // what happened meanwhile is no rate
    turn = wanted ? (turns += 1) : 0;
    if (wanted) look(turn);
  }

  onKey(() => turn && run(true));
  return { run, unready };
}

function reason(problem) {
  const note = (text, kind = "") => h("p", { class: `note ${kind}` }, h("strong", {}, `${problem.title}. `), text);
  if (problem.status === 401 || problem.status === 403) return [keyNote(problem), 0];
  if (problem.status === 404) {
    return [h("p", { class: "note" }, h("strong", {}, "Not on this port. "),
      "Metrics, backend states and routing have a port of their own here (the setting ", h("code", {}, "management_port"),
      "), which pages of this port may not read. Prometheus and Grafana can."), 0];
  }
  if (problem.status === 429) {
    return [note("The key’s rate is used up; this view waits."), Math.max(problem.retryAfter, 1) * 1000 + EVERY_MS];
  }
  return [note(`${problem.detail} Trying again.`, "bad"), EVERY_MS];
}
