// The form made from a manifest: its fields, or the same payload as JSON to be edited freely.

import { h, unique } from "./dom.js";
import { field } from "./fields.js";
import { count, words } from "./format.js";
import { indent, parse } from "./json.js";

/** The form of one model; `changed` is called at every change, `send` when Enter is pressed. */
export function payloadForm(model, changed, send) {
  const fields = model.features.map((feature) => field(feature, changed));
  const grid = h("div", { class: "fields" }, fields.map((one) => one.element));
  const editor = jsonEditor(changed, send);
  const summary = h("div", { class: "summary", role: "alert" });
  const modes = modeSwitch((json) => {
    clear();
    const trouble = json ? editJson() : editFields();
    if (trouble) {
      modes.set(true);
      note("The form cannot show this", [h("p", {}, trouble)]);
      return;
    }
    grid.hidden = json;
    editor.element.hidden = !json;
    changed();
  });
  let agreed = ["", ""]; // the fields, as JSON, and the editor's text, when they said the same

  /** What people have written stays as it is, unless the fields have changed since. */
  function editJson() {
    const json = fieldsAsJson(fields);
    if (json !== agreed[0]) editor.set(pretty(json));
    agreed = [json, editor.control.value];
  }

  /** Fill the fields with what has been written; gives what hinders that, or nothing. */
  function editFields() {
    if (editor.control.value === agreed[1]) return "";
    const row = rowIn(editor.control.value);
    if (row === null) return "The form shows one row, and this is not one JSON object.";
    const unknown = Object.keys(row).filter((name) => !fields.some((one) => one.name === name));
    if (unknown.length) return `The model has no feature ${unknown.map((name) => `“${name}”`).join(", ")}.`;
    fields.forEach((one) => one.set(row[one.name], "As in the JSON"));
    const lost = fields.filter((one) => !mayStand(row[one.name], one.json()));
    if (lost.length) return `The form cannot say the same of ${lost.map((one) => `“${one.name}”`).join(", ")}.`;
    agreed = [fieldsAsJson(fields), editor.control.value];
    return "";
  }

  const fillIn = () => {
    fields.forEach((one) => one.set(model.example[one.name], "The model’s example"));
    agreed = ["", ""];
    editJson();
  };
  const reset = () => {
    fillIn();
    clear();
    changed();
  };
  const element = h("form", { class: "payload", novalidate: true, onsubmit: (event) => { event.preventDefault(); send(); } },
    h("div", { class: "bar" }, h("h2", {}, "Payload"), modes.element,
      h("button", { type: "button", class: "quiet", onclick: reset }, "Example")),
    summary, grid, editor.element,
    h("button", { type: "submit", class: "unseen", tabindex: "-1", "aria-hidden": "true" }, "Predict"));

  function note(title, content) {
    summary.replaceChildren(h("div", { class: "note bad" }, h("p", {}, h("strong", {}, title)), content));
  }

  function clear() {
    fields.forEach((one) => one.say(""));
    editor.say("");
    summary.replaceChildren();
  }

  /** Show each error at its field, and all of them with links above the form. */
  function showErrors(problem) {
    clear();
    const entries = problem.errors.map((error) => {
      const one = modes.json() ? null : fields.find((candidate) => candidate.name === nameIn(error.pointer));
      one?.say(`${sentence(error.detail)} Allowed: ${error.allowed}.`);
      return { error, target: one?.control ?? null };
    });
    const lines = entries.map(({ error, target }) => {
      const text = `${words(error.field)} ${error.detail}`;
      const go = (event) => { event.preventDefault(); target.focus(); };
      return h("li", {}, target ? h("a", { href: `#${target.id}`, onclick: go }, text)
        : `${error.pointer}: ${error.detail}. Allowed: ${error.allowed}`);
    });
    if (lines.length) note(`${count(lines.length, "value")} ${lines.length === 1 ? "does" : "do"} not fit`, [h("ul", {}, lines)]);
    else note(problem.title, [h("p", {}, problem.detail)]);
    (entries.find(({ target }) => target)?.target ?? (modes.json() ? editor.control : null))?.focus();
  }

  /** Put each warning to its field; gives those that belong to none. */
  function showWarnings(warnings) {
    return warnings.filter((warning) => {
      const [name, ...rest] = warning.split(": ");
      const one = modes.json() ? null : fields.find((candidate) => candidate.name === name);
      one?.say(sentence(rest.join(": ")), "warning");
      return !one;
    });
  }

  fillIn();
  return {
    element, clear, showErrors, showWarnings,
    /** The payload as JSON text. */
    body: () => (modes.json() ? editor.control.value : fieldsAsJson(fields)),
    /** The fields by name, JSON text and file, for code; null while JSON is edited. */
    entries: () => (modes.json() ? null : fields.map((one) => [one.name, one.json(), one.file?.() ?? ""]).filter(([, json]) => json !== null)),
  };
}

/** Whether a field says as much as the value it was given: an empty text is more than none. */
function mayStand(value, json) {
  if (value === undefined) return json === null;
  return value === null ? json === null || json === "null" : json !== null;
}

function fieldsAsJson(fields) {
  const members = fields.map((one) => [one.name, one.json()]).filter(([, json]) => json !== null);
  return `{${members.map(([name, json]) => `${JSON.stringify(name)}: ${json}`).join(", ")}}`;
}

function pretty(json) {
  if (json.length > 10_000) return json;
  try {
    JSON.parse(json);
  } catch {
    return json; // a tensor as it was typed
  }
  return indent(json);
}

/** The one row that stands there, or null. */
function rowIn(text) {
  try {
    const found = parse(text);
    return found !== null && typeof found === "object" && !Array.isArray(found) && !Array.isArray(found.instances) ? found : null;
  } catch {
    return null;
  }
}

function nameIn(pointer) {
  return pointer.split("/")[1]?.replaceAll("~1", "/").replaceAll("~0", "~");
}

function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function jsonEditor(changed, send) {
  const help = unique("help");
  const control = h("textarea", {
    id: unique("json"), rows: 16, spellcheck: "false", "aria-describedby": help, oninput: changed,
    onkeydown: (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); send(); } },
  });
  const element = h("div", { class: "field tensor", hidden: true },
    h("label", { for: control.id }, "The request’s body"), control,
    h("p", { class: "about", id: help }, "One object, or many: ", h("code", {}, '{"instances": [{…}, {…}]}'), ". Ctrl+Enter predicts."));
  return {
    element, control,
    set: (text) => { control.value = text; },
    say: (text) => control.setAttribute("aria-invalid", String(text !== "")),
  };
}

function modeSwitch(changed) {
  const name = unique("mode");
  const radios = ["Form", "JSON"].map((label, index) => h("input", {
    type: "radio", name, id: unique("mode"), value: label, checked: index === 0, onchange: () => changed(index === 1),
  }));
  const element = h("fieldset", { class: "choice small" }, h("legend", { class: "unseen" }, "Edit as"),
    radios.map((radio) => h("span", {}, radio, h("label", { for: radio.id }, radio.value))));
  const set = (json) => {
    const focused = radios.includes(document.activeElement);
    radios[Number(json)].checked = true;
    if (focused) radios[Number(json)].focus();
  };
  return { element, set, json: () => radios[1].checked };
}
