// What a model has answered: one row in large, many as a table.

import { h } from "./dom.js";
import { count, framework, milliseconds, number, server, shapeOf, words } from "./format.js";
import { write } from "./json.js";

const MOST_ROWS = 100;
const MOST_BARS = 5;
const MOST_WARNINGS = 5;
const LONG = 24; // characters; what is longer is no figure to be set large

/** The answer of one backend. */
export function answerView(model, { content, headers, milliseconds: took }, warnings) {
  const rows = content.predictions;
  const shown = rows.length === 1
    ? model.outputs.map((output) => outcome(output, rows[0]))
    : rowTable(model.outputs, rows);
  return h("div", { class: "answer" },
    shown,
    warningList(warnings),
    h("dl", { class: "facts" },
      fact("Answered by", `${server(content.backend)}, ${framework(content.lineage)}`),
      fact("Version", content.version),
      timing(headers.get("Server-Timing") ?? "").map(([name, value]) => fact(name, value)),
      fact("To this page", milliseconds(took)),
      fact("Request id", content.request_id)));
}

/** A list of warnings, folded where there are many, or nothing. */
export function warningList(warnings) {
  if (!warnings.length) return null;
  const list = h("ul", {}, warnings.map((warning) => h("li", {}, warning)));
  return h("div", { class: "note warn" }, warnings.length <= MOST_WARNINGS ? list
    : h("details", {}, h("summary", {}, count(warnings.length, "warning")), list));
}

function fact(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value));
}

/** `Server-Timing` in words. */
function timing(header) {
  const names = { validation: "Validation", queue: "Queue", backend: "Backend" };
  const entries = [];
  for (const part of header.split(",").map((text) => text.trim())) {
    const [name, value] = part.split(";");
    const [, told] = (value ?? "").split("=");
    if (name in names) entries.push([names[name], milliseconds(Number(told))]);
    if (name === "batch") entries.push(["In a call of", count(Number(told), "row")]);
  }
  return entries;
}

/** The label that belongs to an output, if its model gives one. */
export function labelOf(output, row) {
  return row[output.label_key] ?? null;
}

function outcome(output, row) {
  const value = row[output.name];
  const label = labelOf(output, row);
  const about = h("p", { class: "about" }, words(output.name), output.description ? ` · ${output.description}` : "");
  if (label !== null) {
    return h("div", { class: "outcome" }, h("p", { class: size(label) }, label), about, shares(output, value));
  }
  if (Array.isArray(value)) return h("div", { class: "outcome" }, about, list(value));
  return h("div", { class: "outcome" },
    h("p", { class: size(value), title: String(value) }, scalar(value), output.unit ? h("span", { class: "unit" }, ` ${output.unit}`) : null),
    about);
}

function size(value) {
  return typeof value === "bigint" || (typeof value === "string" && value.length > LONG) ? "figure long" : "figure";
}

function scalar(value) {
  if (value === null) return "not finite";
  return typeof value === "string" || typeof value === "boolean" ? String(value) : number(value);
}

/** Probabilities as bars: of one label with its threshold, or the largest of several. */
function shares(output, value) {
  const flat = Array.isArray(value) ? value.flat(Infinity) : [value];
  const limit = output.threshold;
  if (flat.length === 1 && limit !== undefined) {
    return h("div", { class: "shares" }, bar(output.labels.at(-1), flat[0], limit),
      h("p", { class: "about" }, `“${output.labels.at(-1)}” from ${number(limit)} on.`));
  }
  if (flat.length !== output.labels.length) return list(value);
  const ordered = flat.map((share, index) => [output.labels[index], share]).sort((a, b) => b[1] - a[1]);
  return h("div", { class: "shares" }, ordered.slice(0, MOST_BARS).map(([label, share]) => bar(label, share, null)));
}

function bar(label, share, limit) {
  const line = h("span", { class: "part" });
  line.style.width = `${Math.min(Math.max(Number(share ?? 0), 0), 1) * 100}%`;
  const mark = limit === null ? null : h("span", { class: "limit" });
  if (mark) mark.style.left = `${limit * 100}%`;
  return h("div", { class: "share" }, h("span", {}, label), h("span", { class: "track", "aria-hidden": "true" }, line, mark),
    h("span", { class: "amount" }, number(share, 3)));
}

function list(value) {
  const text = write(value);
  return h("details", { open: text.length < 400 }, h("summary", {}, `${shapeOf(value)} values`),
    h("pre", { tabindex: "0", role: "region", "aria-label": "Values" }, text.slice(0, 20_000)));
}

function rowTable(outputs, rows) {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const units = Object.fromEntries(outputs.map((output) => [output.name, output.unit]));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Predictions" },
    h("table", {},
      h("caption", {}, count(rows.length, "row"), rows.length > MOST_ROWS ? `, the first ${MOST_ROWS} shown` : ""),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Row"),
        columns.map((name) => h("th", { scope: "col" }, words(name), units[name] ? ` (${units[name]})` : "")))),
      h("tbody", {}, rows.slice(0, MOST_ROWS).map((row, index) => h("tr", {}, h("th", { scope: "row" }, String(index)),
        columns.map((name) => h("td", {}, brief(row[name]))))))));
}

/** A value in a table's cell. */
export function brief(value) {
  if (!Array.isArray(value)) return scalar(value ?? null);
  const text = write(value);
  return text.length <= 48 ? text : `${shapeOf(value)} values`;
}
