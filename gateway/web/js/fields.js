// One field of the form for each kind of feature. A field gives its value as JSON text, so that no
// number loses digits on its way, and leaves judging it to the gateway.

import { h, unique } from "./dom.js";
import { number, words } from "./format.js";
import { imageField } from "./image.js";
import { write } from "./json.js";

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const FEW = 5;
const SHORT = 24;

/** The field of a feature: `element`, `control` to focus, `json()`, `set(value, origin)`, `say(…)`. */
export function field(feature, changed) {
  const kind = KINDS[feature.type] ?? tensor;
  const made = kind(feature, changed);
  const about = h("p", { class: "about", id: unique("about") }, ...described(feature));
  const trouble = h("p", { class: "trouble", id: unique("trouble") });
  const grouped = made.group === true;
  const label = grouped
    ? h("legend", {}, ...title(feature))
    : h("label", { for: made.control.id }, ...title(feature));
  const described_by = `${about.id} ${trouble.id}`;
  const element = h(grouped ? "fieldset" : "div", { class: `field ${feature.type}` },
    label, made.body, made.gauge ?? null, about, trouble);
  (grouped ? element : made.control).setAttribute("aria-describedby", described_by);

  /** Say what is wrong with the value (`error`) or odd about it (`warning`); "" takes it back. */
  function say(text, kind = "error") {
    trouble.textContent = text;
    element.classList.toggle("wrong", text !== "" && kind === "error");
    element.classList.toggle("odd", text !== "" && kind === "warning");
    if (!grouped) made.control.setAttribute("aria-invalid", String(text !== "" && kind === "error"));
  }
  return { name: feature.name, element, say, ...made };
}

function title(feature) {
  return [words(feature.name), feature.unit ? h("span", { class: "unit" }, ` ${feature.unit}`) : null];
}

function described(feature) {
  const range = feature.range ? `${number(feature.range[0])}–${number(feature.range[1])}` : null;
  return [feature.description ?? "", range && " Trained on ", range && h("span", { class: "seen" }, range), range && ".",
    feature.type === "number" && mayBeEmpty(feature) ? " May be empty." : null];
}

const KINDS = {
  integer: numeric, number: numeric, boolean: yesNo, string: text, image: imageField, tensor,
};

/** Whether null is a value, too: one that was not measured. */
function mayBeEmpty(feature) {
  return feature.finite === false;
}

/** Text that JSON would take as a number goes as one; anything else as it is, to be refused. */
function numberAsJson(typed, empty) {
  const plain = typed.trim().replace("−", "-");
  if (plain === "") return empty;
  return NUMBER.test(plain) ? plain : JSON.stringify(typed);
}

function numeric(feature, changed) {
  const control = h("input", {
    id: unique("field"), type: "text", autocomplete: "off", spellcheck: "false",
    inputmode: keyboard(feature),
  });
  const gauge = feature.range ? rangeGauge(feature.range) : null;
  const update = () => gauge?.show(control.value.trim() ? Number(control.value.replace("−", "-")) : NaN);
  control.addEventListener("input", () => { update(); changed(); });
  return {
    control, body: control, gauge: gauge?.element ?? null,
    json: () => numberAsJson(control.value, mayBeEmpty(feature) ? "null" : null),
    set: (value) => { control.value = typed(value); update(); },
  };
}

function typed(value) {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : write(value);
}

/** Which keys a phone shows: its numbers come without a minus. */
function keyboard(feature) {
  if (!(feature.range?.[0] >= 0)) return "text";
  return feature.type === "integer" ? "numeric" : "decimal";
}

/** A line for the range of the training, and where the value lies on it. */
function rangeGauge([low, high]) {
  const dot = h("span", { class: "dot" });
  const element = h("div", { class: "gauge", "aria-hidden": "true" }, dot);
  return {
    element,
    show(value) {
      const place = high > low ? (value - low) / (high - low) : 0.5;
      dot.hidden = Number.isNaN(value);
      dot.style.left = `${Math.min(Math.max(place, 0), 1) * 100}%`;
      element.classList.toggle("outside", value < low || value > high);
    },
  };
}

function text(feature, changed) {
  if (feature.categories) {
    const letters = feature.categories.join("").length;
    const few = feature.categories.length <= FEW && letters <= SHORT;
    return few ? choice(feature.categories.map((c) => [c, JSON.stringify(c)]), changed)
      : dropDown(feature.categories, changed);
  }
  const control = h("input", { id: unique("field"), type: "text", autocomplete: "off", oninput: changed });
  return {
    control, body: control,
    json: () => JSON.stringify(control.value),
    set: (value) => { control.value = typed(value); },
  };
}

function dropDown(categories, changed) {
  const options = categories.map((category) => h("option", { value: category }, category));
  const control = h("select", { id: unique("field"), onchange: changed }, options);
  return {
    control, body: control,
    json: () => (control.selectedIndex < 0 ? null : JSON.stringify(control.value)),
    set: (value) => { control.value = value; },
  };
}

function yesNo(feature, changed) {
  return choice([["true", "true"], ["false", "false"]], changed);
}

/** A row of radio buttons; `entries` are labels with the JSON each stands for. */
function choice(entries, changed) {
  const group = unique("choice");
  const radios = entries.map(([, json]) =>
    h("input", { type: "radio", id: unique("field"), name: group, value: json, onchange: changed }));
  const body = h("div", { class: "choice" }, entries.map(([label], index) =>
    h("span", {}, radios[index], h("label", { for: radios[index].id }, label))));
  return {
    control: radios[0], body, group: true,
    json: () => radios.find((radio) => radio.checked)?.value ?? null,
    set: (value) => {
      for (const radio of radios) radio.checked = radio.value === write(value);
    },
  };
}

/** Nested lists as JSON text, one row of the last dimension a line. */
function tensor(feature, changed) {
  const control = h("textarea", { id: unique("field"), rows: 4, spellcheck: "false", oninput: changed });
  const sizes = (feature.shape ?? []).map((size) => size ?? "any").join(" × ");
  const note = `${feature.dtype ?? "float32"}, ${sizes ? `shape ${sizes}` : "one value"}`;
  return {
    control, body: [control, h("p", { class: "about" }, note)],
    json: () => control.value.trim() || null,
    set: (value) => { control.value = value === undefined ? "" : layOut(value); },
  };
}

function layOut(value) {
  const flat = write(value);
  if (!Array.isArray(value?.[0]) || flat.length > 20_000) return flat;
  return flat.replaceAll("],[", "],\n[");
}
