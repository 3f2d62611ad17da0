// The page at `/docs`: Swagger UI over the gateway's own OpenAPI document.

import { ask, keyHeaders, onKey } from "./api.js";
import { h } from "./dom.js";
import { keyNote, setUpKey } from "./key.js";

const trouble = document.getElementById("trouble");
const viewer = document.getElementById("viewer");

async function show() {
  let spec;
  try {
    spec = JSON.parse((await ask("openapi.json", { text: true })).content);
  } catch (problem) {
    if (problem.status === undefined) throw problem;
    const wanted = problem.status === 401 || problem.status === 403;
    trouble.replaceChildren(wanted ? keyNote(problem)
      : h("p", { class: "note bad" }, h("strong", {}, `${problem.title}. `), problem.detail));
    return;
  }
  trouble.replaceChildren();
  // Wherever the gateway is published, its doors lie beside this page; nothing is left to choose.
  spec.servers = [{ url: new URL(".", document.baseURI).href.replace(/\/$/, "") }];
  for (const operation of Object.values(spec.paths).flatMap(Object.values)) {
    if (operation.description === `${operation.summary}.`) delete operation.description; // one of them is enough
  }
  globalThis.SwaggerUIBundle({
    spec,
    domNode: viewer,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    validatorUrl: null,
    requestInterceptor: (request) => {
      if (new URL(request.url, document.baseURI).origin === location.origin) {
        request.headers = { ...keyHeaders(), ...request.headers };
      }
      return request;
    },
  });
}

/**
 * Swagger UI leaves what people type into without names; they get those that stand beside them. What
 * scrolls can be reached by the keyboard. Its own main landmark becomes a part of this page's.
 */
function improve() {
  for (const main of viewer.querySelectorAll("main:not([role])")) { // the page's own is the only one
    main.setAttribute("role", "region");
    main.setAttribute("aria-label", "Operations");
  }
  for (const pre of viewer.querySelectorAll("pre:not([tabindex])")) pre.tabIndex = 0;
  for (const button of viewer.querySelectorAll(".opblock-tag > button:not([aria-label])")) {
    button.setAttribute("aria-label", `Operations: ${button.parentElement.dataset.tag}`);
  }
  for (const control of viewer.querySelectorAll("select:not([aria-label]), textarea:not([aria-label]), input:not([aria-label])")) {
    const row = control.closest("tr[data-param-name]");
    const beside = control.closest("label")?.textContent || control.closest(".examples-select") && "Example"
      || control.closest(".opblock-section-request-body") && "Request body";
    control.setAttribute("aria-label", row?.dataset.paramName ?? (beside || "Choice"));
  }
}

new MutationObserver(improve).observe(viewer, { childList: true, subtree: true });
setUpKey(document.getElementById("key-dialog"), document.getElementById("key-button"));
onKey(show);
show();
