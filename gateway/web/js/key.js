// The dialog that takes an API key.

import { apiKey, setApiKey } from "./api.js";
import { h } from "./dom.js";

/** Fill the dialog and let the button open it. */
export function setUpKey(dialog, button) {
  const input = h("input", {
    id: "key-input", type: "password", autocomplete: "off", spellcheck: "false", "aria-describedby": "key-help",
  });
  const done = (key) => {
    dialog.close();
    setApiKey(key);
    show();
  };
  const show = () => {
    button.textContent = apiKey() ? "API key set" : "API key";
  };
  dialog.append(
    h("form", { onsubmit: (event) => { event.preventDefault(); done(input.value.trim()); } },
      h("h2", { id: "key-title" }, "API key"),
      h("p", { id: "key-help" }, "Kept in this tab until you close it, and sent to this gateway only."),
      h("label", { for: "key-input" }, "Key"),
      input,
      h("p", { class: "buttons" },
        h("button", { type: "submit", class: "strong" }, "Use this key"),
        h("button", { type: "button", onclick: () => done("") }, "Forget it"),
        h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Cancel"))),
  );
  button.addEventListener("click", () => {
    input.value = apiKey();
    dialog.showModal();
    input.focus();
  });
  show();
}

/** Where a door wants a key: what to tell, with a button to give one. */
export function keyNote(problem) {
  const open = () => document.getElementById("key-button").click();
  return h("div", { class: "note" },
    h("p", {}, h("strong", {}, `${problem.title}. `), explain(problem)),
    h("button", { type: "button", onclick: open }, "Enter an API key"));
}

function explain(problem) {
  if (problem.status === 403) return "The key you gave may predict, but this needs an admin’s.";
  return apiKey() ? "The one you gave is not known here." : "This gateway answers only with one.";
}
