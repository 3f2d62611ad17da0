// Backends, routing and shadows as tables and sentences.

import { h } from "./dom.js";
import { count, framework, milliseconds, number, percent, server, standIn } from "./format.js";

/** Which backends there are and how they do, as one of so many workers sees them. */
export function backendsView(section, backends, workers) {
  replace(section, [backends, workers], () => [
    h("h2", {}, "Backends"),
    workers > 1 ? h("p", { class: "about" }, `States and breakers as seen by one of ${workers} workers.`) : null,
    h("ul", { class: "backends" }, backends.map((backend) => h("li", {},
      h("h3", {}, server(backend.name), state(backend.state)),
      h("p", { class: "about" }, backend.url ?? "in this process", backend.required ? ", required" : ""),
      backend.stand_in ? h("p", { class: "trouble stand-in" }, standIn(backend.name)) : null,
      h("ul", { class: "lanes" }, backend.models.map(lane)),
      backend.models.every((target) => !backend.last_error || target.detail === backend.last_error) ? null
        : h("p", { class: "trouble" }, `Last error: ${backend.last_error}`)))),
  ]);
}

function lane(target) {
  const more = [
    target.active ? "" : "kept",
    target.breaker === "closed" ? "" : `breaker ${target.breaker}`,
    target.queued_rows ? `${count(target.queued_rows, "row")} waiting` : "",
    target.ready ? "" : target.detail,
  ].filter(Boolean);
  return h("li", {}, state(target.ready ? "ready" : "down", true),
    h("span", {}, `${target.model} ${target.version}, ${framework(target.lineage)}`,
      more.length ? h("span", { class: "more" }, ` – ${more.join(", ")}`) : null));
}

function state(name, small = false) {
  return h("span", { class: `state ${name}` }, small ? h("span", { class: "unseen" }, name) : name);
}

/** The policy of each model, with what its shadow has found: of several workers what `totals` say. */
export function routingView(section, policy, reports, totals) {
  const shadows = totals.workers > 1 ? reports.map((shadow) => ofAll(shadow, totals)) : reports;
  const names = [...new Set([...Object.keys(policy.models), ...shadows.map((shadow) => shadow.model)])];
  replace(section, [policy, shadows], () => [
    h("h2", {}, "Routing"),
    policy.error ? h("p", { class: "note bad" }, `The file’s newer content is refused: ${policy.error}`) : null,
    names.length ? null : h("p", { class: "about" }, "No policy: each request goes to the backend it names, or to the model’s first."),
    names.map((name) => routed(name, policy.models[name] ?? {}, shadows.filter((shadow) => shadow.model === name))),
  ]);
}

function routed(name, rules, shadows) {
  return h("div", { class: "routed" }, h("h3", {}, name),
    h("dl", { class: "facts" },
      rules.default ? fact("Default", rules.default) : null,
      rules.fallback?.length ? fact("Fallback", rules.fallback.join(", then ")) : null,
      rules.canary?.sticky ? fact("Sticky by", rules.canary.sticky) : null),
    rules.canary ? canary(rules.canary.weights) : null,
    shadows.map(shadowed));
}

function fact(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value));
}

function canary(weights) {
  const entries = Object.entries(weights).filter(([, weight]) => weight > 0);
  const bar = h("div", { class: "split", "aria-hidden": "true" }, entries.map(([, weight], index) => {
    const part = h("span", { class: `part-${index % 4}` });
    part.style.width = `${weight}%`;
    return part;
  }));
  return h("div", { class: "canary" }, h("h4", {}, "Canary"), bar,
    h("ul", { class: "legend" }, entries.map(([route, weight], index) =>
      h("li", { class: `part-${index % 4}` }, `${route} ${number(weight)} %`))));
}

/** Each worker answers only for itself: what cannot be added up is left out. */
function ofAll({ model, candidate, share, tolerance }, { workers, shadowed: found }) {
  const counted = (outcome) => found.get(`${model} ${candidate.backend}/${candidate.lineage} ${outcome}`) ?? 0;
  const [agreeing, compared, failed] = ["agreeing", "compared", "failed"].map(counted);
  const rows = agreeing + counted("differing");
  const dropped = ["queue_full", "too_large", "candidate_failing"].map((reason) => counted(`dropped_${reason}`));
  const requests = { compared, failed, dropped: dropped.reduce((sum, one) => sum + one) };
  return { model, candidate, share, tolerance, workers, requests, rows_compared: rows, agreement: rows ? agreeing / rows : null };
}

function shadowed(shadow) {
  const { candidate, latency_ms: latency, requests, largest_difference: largest } = shadow;
  const [low, high] = shadow.interval ?? [];
  return h("div", { class: "shadow" },
    h("h4", {}, `Shadow: ${server(candidate.backend)}, ${framework(candidate.lineage)}`),
    shadow.rows_compared === 0 ? h("p", { class: "about" }, "Nothing compared yet.")
      : h("p", { class: "figure" }, percent(shadow.agreement), h("span", { class: "unit" }, ` of rows agree within ${number(shadow.tolerance)}`)),
    h("dl", { class: "facts" },
      fact("Rows compared", number(shadow.rows_compared)),
      shadow.rows_compared && shadow.interval ? fact("95 % interval", `${percent(low)} – ${percent(high)}`) : null,
      fact("Share copied", percent(shadow.share)),
      fact("Requests compared", `${number(requests.compared)}${shadow.workers ? "" : ` of ${number(requests.offered)}`}`),
      requests.failed ? fact("Failed", number(requests.failed)) : null,
      requests.dropped ? fact("Dropped", number(requests.dropped)) : null,
      largest ? fact("Largest difference", `${largest.difference === null ? "infinite" : number(largest.difference, 3)} (${largest.output})`) : null,
      latency ? fact("Median latency", `${milliseconds(latency.primary.p50)}, candidate ${milliseconds(latency.candidate.p50)}`) : null),
    shadow.workers ? h("p", { class: "about" }, `Of all ${shadow.workers} workers, since they began.`) : null,
    shadow.last_error ? h("p", { class: "trouble" }, `Last error: ${shadow.last_error}`) : null);
}

/** Replace a section's content only when it has changed, so that nothing jumps under a reader. */
function replace(section, content, make) {
  const text = JSON.stringify(content);
  if (section.shown === text) return;
  section.shown = text;
  section.replaceChildren(...make().flat(Infinity).filter(Boolean));
}
