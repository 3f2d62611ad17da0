// The view in which a model is tried.

import { answerView } from "./answer.js";
import { apiKey, address, ask } from "./api.js";
import { curl, python } from "./code.js";
import { comparisonView } from "./comparison.js";
import { bringIntoView, copyButton, h, unique } from "./dom.js";
import { bytes, count, framework, server } from "./format.js";
import { payloadForm } from "./form.js";
import { keyNote } from "./key.js";

const SHOWN = 6000;

/** Fill the view with a model among others; `choose(name, version)` shows another one. */
export function tryView(view, { models, failures }, model, choose) {
  const targets = Object.entries(model.backends).flatMap(([backend, lineages]) => lineages.map((lineage) => ({ backend, lineage })));
  const asked = h("select", { id: unique("target"), onchange: () => changed() },
    h("option", { value: "" }, "the gateway’s choice"),
    targets.map((one, index) => h("option", { value: index }, `${server(one.backend)}, ${framework(one.lineage)}`)));
  const result = h("div", { class: "result", "aria-live": "polite" }, h("p", { class: "about" }, "The answer appears here."));
  const code = codeView(() => snippet());
  let comparing = false;
  let asks = 0;
  const form = payloadForm(model, () => changed(), () => run(false));
  const buttons = [["Predict", false, "strong"], ["Compare all", true, ""]].map(([label, all, kind]) =>
    h("button", { type: "button", class: kind, onclick: () => run(all) }, label));

  function query() {
    const one = comparing ? null : targets[asked.value === "" ? -1 : Number(asked.value)];
    return {
      model: model.name,
      ...(model.version === model.versions.at(-1) ? {} : { version: model.version }),
      ...(one ? { backend: one.backend, lineage: one.lineage } : {}),
    };
  }

  function snippet() {
    const url = address(comparing ? "v1/compare" : "v1/predict", query()).href;
    return { url, body: form.body(), entries: form.entries(), keyed: apiKey() !== "" };
  }

  function changed() {
    code.update();
  }

  async function run(all) {
    const mine = (asks += 1);
    comparing = all;
    form.clear();
    code.update();
    result.setAttribute("aria-busy", "true");
    try {
      const answer = await ask(all ? "v1/compare" : "v1/predict", { query: query(), body: form.body() });
      if (mine !== asks) return; // a newer one is on its way
      const warnings = form.showWarnings(answer.content.warnings);
      result.replaceChildren(all ? comparisonView(model, answer.content, warnings) : answerView(model, answer, warnings));
      bringIntoView(result);
    } catch (problem) {
      if (mine === asks) fail(problem);
    } finally {
      if (mine === asks) result.removeAttribute("aria-busy");
    }
  }

  function fail(problem) {
    if (problem.status === undefined) throw problem; // a mistake of this page
    if (problem.status === 400 || problem.status === 422) {
      form.showErrors(problem);
      result.replaceChildren(h("p", { class: "about" }, "No answer: see above the form."));
      return;
    }
    const wantsKey = problem.status === 401 || problem.status === 403;
    result.replaceChildren(wantsKey ? keyNote(problem) : problemNote(problem));
    bringIntoView(result);
  }

  view.replaceChildren(
    heading(models, failures, model, choose),
    h("div", { class: "bench" },
      form.element,
      h("aside", { class: "desk", "aria-label": "Answer" },
        h("div", { class: "ask" }, h("label", { for: asked.id }, "Ask"), asked, h("div", { class: "buttons" }, buttons)),
        result)),
    code.element);
  code.update();
  const newest = model.version === model.versions.at(-1);
  return { name: model.name, version: newest ? "" : model.version, refresh: () => code.update() };
}

function problemNote(problem) {
  const detail = problem.limitBytes ? `It may be ${bytes(problem.limitBytes)} at most.` : problem.detail;
  return h("div", { class: "note bad", role: "alert" }, h("p", {}, h("strong", {}, problem.title)), h("p", {}, detail),
    problem.requestId ? h("p", { class: "about" }, `Request id ${problem.requestId}`) : null);
}

function heading(models, failures, model, choose) {
  const names = h("select", { id: "model", onchange: (event) => choose(event.target.value) },
    models.map((one) => h("option", { value: one.name, selected: one.name === model.name }, one.name)));
  const versions = h("select", { id: "version", onchange: (event) => choose(model.name, event.target.value) },
    model.versions.map((one) => h("option", { value: one, selected: one === model.version }, one)));
  const backends = Object.keys(model.backends).map(server);
  return h("div", { class: "head" },
    h("div", { class: "pick" }, h("label", { for: "model" }, "Model"), names, h("label", { for: "version" }, "Version"), versions),
    h("h1", { tabindex: "-1" }, model.name),
    model.description ? h("p", { class: "lead" }, model.description) : null,
    h("p", { class: "about" }, `${count(model.features.length, "feature")}, answered by ${listed(backends)}. `,
      model.out_of_range === "reject" ? "Values outside the training range are refused." : null),
    Object.entries(failures).map(([folder, reason]) => h("p", { class: "note warn" }, h("strong", {}, `${folder} is not served: `), reason)));
}

function listed(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** The request on screen as code; `update` makes it anew. */
function codeView(request) {
  const makers = { curl, Python: python };
  const name = unique("language");
  const pre = h("pre", { tabindex: "0", role: "region", "aria-label": "The request as code" });
  let text = "";
  const update = () => {
    text = makers[radios.find((radio) => radio.checked).value](request());
    pre.textContent = text.length > SHOWN ? `${text.slice(0, SHOWN)}\n… (Copy takes all ${text.length.toLocaleString("en")} characters)` : text;
  };
  const radios = Object.keys(makers).map((label, index) =>
    h("input", { type: "radio", name, id: unique("language"), value: label, checked: index === 0, onchange: update }));
  const element = h("section", { class: "code", "aria-labelledby": "code-title" },
    h("div", { class: "bar" }, h("h2", { id: "code-title" }, "As code"),
      h("fieldset", { class: "choice small" }, h("legend", { class: "unseen" }, "Language"),
        radios.map((radio) => h("span", {}, radio, h("label", { for: radio.id }, radio.value)))),
      copyButton(() => text, "the code")),
    pre);
  return { element, update };
}
