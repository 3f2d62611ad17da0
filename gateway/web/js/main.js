// The page at `/`: two views, one address each after the #.

import { ask, onKey } from "./api.js";
import { h } from "./dom.js";
import { keyNote, setUpKey } from "./key.js";
import { liveView } from "./live.js";
import { tryView } from "./try.js";

const READY_EVERY_MS = 10_000;
const views = { try: document.getElementById("try"), live: document.getElementById("live") };
const live = liveView(views.live);
let trying = null; // the view of the model that is shown
let choices = 0;

function shown() {
  const [name] = location.hash.slice(1).split("/");
  return name in views ? name : "try";
}

function show() {
  const current = shown();
  for (const [name, view] of Object.entries(views)) view.hidden = name !== current;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === `#${current}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  live.run(current === "live");
  nameInTitle();
}

/** Show a model; `chosen` by somebody here, the way back leads to the one before. */
async function choose(name = "", version = "", chosen = false) {
  const mine = (choices += 1);
  try {
    const { models, failures } = (await ask("v1/models")).content;
    if (mine !== choices) return;
    if (!models.length) {
      views.try.replaceChildren(nothing(failures));
      return;
    }
    const wanted = models.find((model) => model.name === name) ?? models[0];
    const query = wanted.versions.includes(version) ? { version } : {};
    const model = (await ask(`v1/models/${encodeURIComponent(wanted.name)}`, { query })).content;
    if (mine !== choices) return; // another one was chosen meanwhile
    const held = document.activeElement?.id;
    trying = tryView(views.try, { models, failures }, model, (other, its = "") => choose(other, its, true));
    if (held === "model" || held === "version") document.getElementById(held).focus(); // the new one
    nameInAddress(chosen);
    nameInTitle();
  } catch (problem) {
    if (problem.status === undefined) throw problem;
    if (mine !== choices) return;
    views.try.replaceChildren(refused(problem));
  }
}

/** So that the address leads back to the model, and to its version where that is not the newest. */
function nameInAddress(chosen = false) {
  if (shown() !== "try" || !trying || location.hash === addressOf(trying)) return;
  history[chosen ? "pushState" : "replaceState"](null, "", addressOf(trying));
}

function addressOf({ name, version }) {
  return `#${["try", name, version].filter(Boolean).map(encodeURIComponent).join("/")}`;
}

function nameInTitle() {
  const view = shown() === "live" ? "Live" : trying?.name ?? "Try a model";
  document.title = `${view} – Serving gateway`;
}

function nothing(failures) {
  return h("div", { class: "note bad" }, h("p", {}, h("strong", {}, "There is no model to try. ")),
    h("ul", {}, Object.entries(failures).map(([folder, reason]) => h("li", {}, `${folder}: ${reason}`))));
}

function refused(problem) {
  if (problem.status === 401 || problem.status === 403) return h("div", { class: "head" }, h("h1", {}, "Serving gateway"), keyNote(problem));
  return h("div", { class: "note bad", role: "alert" }, h("p", {}, h("strong", {}, problem.title)), h("p", {}, problem.detail),
    h("button", { type: "button", onclick: () => chooseNamed() }, "Try again"));
}

/** The model and the version that the address names. */
function named() {
  const [, name = "", version = ""] = location.hash.slice(1).split("/").map(decoded);
  return { name, version };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // typed in by hand, like `%`
  }
}

function chooseNamed() {
  const { name, version } = named();
  choose(name, version);
}

const ready = document.getElementById("ready");

async function lookWhetherReady() {
  if (!document.hidden) {
    const [state, words, reasons] = await readiness();
    ready.className = `ready ${state}`;
    ready.title = reasons.join("\n");
    if (ready.textContent !== words) ready.textContent = words;
    live.unready(reasons);
  }
  setTimeout(lookWhetherReady, READY_EVERY_MS);
}

async function readiness() {
  try {
    const response = await fetch(new URL("readyz", document.baseURI), { cache: "no-store" });
    if (response.ok) return ["up", "ready", []];
    const { reasons = [] } = await response.json().catch(() => ({}));
    return ["down", "not ready", reasons];
  } catch {
    return ["down", "not reachable", []];
  }
}

setUpKey(document.getElementById("key-dialog"), document.getElementById("key-button"));
onKey(() => (trying === null ? chooseNamed() : trying.refresh()));
addEventListener("hashchange", () => {
  show();
  const other = named().name && (trying === null || addressOf(named()) !== addressOf(trying));
  if (shown() === "try" && other) chooseNamed(); // also on the way back
  else nameInAddress();
  scrollTo(0, 0);
});
for (const kind of ["dragover", "drop"]) {
  addEventListener(kind, (event) => { // a picture dropped beside its box would take the page's place
    if (event.defaultPrevented || !event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "none";
  });
}
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // what stands after the # is the view
  document.getElementById("main").focus();
});
show();
chooseNamed();
lookWhetherReady();
