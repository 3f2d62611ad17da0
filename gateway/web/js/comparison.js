// All backends side by side: what each answered, how fast, and whether they agree.

import { brief, labelOf, warningList } from "./answer.js";
import { h } from "./dom.js";
import { count, framework, milliseconds, number, server, standIn, words } from "./format.js";
import { write } from "./json.js";

/** The answer of `POST /v1/compare`. */
export function comparisonView(model, content, warnings) {
  const slowest = Math.max(...content.results.map((result) => result.latency_ms ?? 0), 0.001);
  const shared = content.results.every((result) => (result.predictions ?? [1]).length === 1);
  return h("div", { class: "answer" },
    h("ul", { class: "targets" }, content.results.map((result) => target(model, result, slowest))),
    shared ? null : h("p", { class: "about" }, "The first row of each is shown; the agreement is that of all."),
    agreements(model, content),
    warningList(warnings),
    h("p", { class: "about" }, "Latency of one request among several at once; ", h("code", {}, "gateway compare"), " measures."));
}

function target(model, result, slowest) {
  const name = h("h3", {}, server(result.backend), h("span", { class: "lineage" }, framework(result.lineage)));
  if (result.error) {
    return h("li", { class: "down" }, name,
      h("p", { class: "trouble" }, result.error.title), h("p", { class: "about" }, result.error.detail));
  }
  const line = h("span", { class: "part" });
  line.style.width = `${(result.latency_ms / slowest) * 100}%`;
  return h("li", {}, name,
    result.stand_in ? h("p", { class: "trouble stand-in" }, standIn(result.backend)) : null,
    h("dl", { class: "values" }, model.outputs.map((output) => value(output, result.predictions[0]))),
    h("p", { class: "latency" }, h("span", { class: "track", "aria-hidden": "true" }, line),
      h("span", { class: "amount" }, milliseconds(result.latency_ms))));
}

function value(output, row) {
  const label = labelOf(output, row);
  const told = brief(row[output.name]);
  return h("div", {}, h("dt", {}, words(output.name)),
    h("dd", { title: write(row[output.name]).slice(0, 500) }, label === null ? told : `${label} (${told})`,
      output.unit ? h("span", { class: "unit" }, ` ${output.unit}`) : null));
}

function agreements(model, content) {
  const unit = model.outputs.length === 1 && model.outputs[0].unit ? ` ${model.outputs[0].unit}` : "";
  const lines = [
    ...content.agreement.map((pair) => agreement(pair, unit)),
    ...content.distances.map((pair) => h("li", { class: "apart" },
      h("strong", {}, `${pair.lineages.map(framework).join(" and ")}: `),
      `${far(pair.largest_difference, unit)} apart. They were trained apart, so neither is at fault.`)),
  ];
  if (!lines.length) lines.push(h("li", { class: "apart" }, "Nothing to hold against each other: only one has answered."));
  return h("ul", { class: "verdicts" }, lines);
}

function agreement(pair, unit) {
  const names = pair.backends.map(server).join(" and ");
  const rows = pair.rows === 1 ? "" : ` in ${number(pair.agreeing)} of ${count(pair.rows, "row")}`;
  const verdict = pair.agree ? "agree" : "do not agree";
  return h("li", { class: pair.agree ? "agree" : "differ" },
    h("strong", {}, `${names} ${verdict}`),
    `${rows}: ${far(pair.largest_difference, unit)} apart, ${number(pair.tolerance)}${unit} allowed.`);
}

function far(difference, unit) {
  return difference === null ? "not a number" : `${number(difference, 3)}${unit}`;
}
