// The form made from a manifest: its fields, or the same payload as JSON to be edited freely.

import { h, unique } from "./dom.js";
import { count, words } from "./format.js";
import { field } from "./fields.js";

/** The form of one model; `changed` is called at every change, `send` when Enter is pressed. */
export function payloadForm(model, changed, send) {
  const fields = model.features.map((feature) => field(feature, changed));
  const grid = h("div", { class: "fields" }, fields.map((one) => one.element));
  const editor = jsonEditor(changed, send);
  const summary = h("div", { class: "summary", role: "alert" });
  const modes = modeSwitch((json) => {
    if (json) editor.set(pretty(fieldsAsJson(fields)));
    grid.hidden = json;
    editor.element.hidden = !json;
    clear();
    changed();
  });
  const fillIn = () => {
    fields.forEach((one) => one.set(model.example[one.name]));
    editor.set(JSON.stringify(model.example, null, 2));
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
    const title = lines.length ? `${count(lines.length, "value")} ${lines.length === 1 ? "does" : "do"} not fit` : problem.title;
    summary.append(h("div", { class: "note bad" }, h("p", {}, h("strong", {}, title)),
      lines.length ? h("ul", {}, lines) : h("p", {}, problem.detail)));
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

function fieldsAsJson(fields) {
  const members = fields.map((one) => [one.name, one.json()]).filter(([, json]) => json !== null);
  return `{${members.map(([name, json]) => `${JSON.stringify(name)}: ${json}`).join(", ")}}`;
}

function pretty(json) {
  try {
    const spread = JSON.stringify(JSON.parse(json), null, 2);
    return spread.length > 20_000 ? json : spread;
  } catch {
    return json;
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
  return { element, json: () => radios[1].checked };
}
