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
  document.title = `${current === "live" ? "Live" : "Try a model"} – Serving gateway`;
  live.run(current === "live");
}

async function choose(name = "", version = "") {
  const mine = (choices += 1);
  try {
    const { models, failures } = (await ask("v1/models")).content;
    if (mine !== choices) return;
    if (!models.length) {
      views.try.replaceChildren(nothing(failures));
      return;
    }
    const wanted = models.some((model) => model.name === name) ? name : models[0].name;
    const query = version ? { version } : {};
    const model = (await ask(`v1/models/${encodeURIComponent(wanted)}`, { query })).content;
    if (mine !== choices) return; // another one was chosen meanwhile
    trying = tryView(views.try, { models, failures }, model, choose);
    nameInAddress();
  } catch (problem) {
    if (problem.status === undefined) throw problem;
    if (mine !== choices) return;
    views.try.replaceChildren(refused(problem));
  }
}

/** So that the address leads back to the model. */
function nameInAddress() {
  if (shown() === "try" && trying) history.replaceState(null, "", `#try/${encodeURIComponent(trying.name)}`);
}

function nothing(failures) {
  return h("div", { class: "note bad" }, h("p", {}, h("strong", {}, "There is no model to try. ")),
    h("ul", {}, Object.entries(failures).map(([folder, reason]) => h("li", {}, `${folder}: ${reason}`))));
}

function refused(problem) {
  if (problem.status === 401 || problem.status === 403) return h("div", { class: "head" }, h("h1", {}, "Serving gateway"), keyNote(problem));
  return h("div", { class: "note bad", role: "alert" }, h("p", {}, h("strong", {}, problem.title)), h("p", {}, problem.detail),
    h("button", { type: "button", onclick: () => choose(named()) }, "Try again"));
}

function named() {
  const name = location.hash.slice(1).split("/")[1] ?? "";
  try {
    return decodeURIComponent(name);
  } catch {
    return name; // typed in by hand, like `%`
  }
}

const ready = document.getElementById("ready");

async function lookWhetherReady() {
  if (!document.hidden) {
    const [state, words] = await readiness();
    ready.className = `ready ${state}`;
    if (ready.textContent !== words) ready.textContent = words;
  }
  setTimeout(lookWhetherReady, READY_EVERY_MS);
}

async function readiness() {
  try {
    const response = await fetch(new URL("readyz", document.baseURI), { cache: "no-store" });
    return response.ok ? ["up", "ready"] : ["down", "not ready"];
  } catch {
    return ["down", "not reachable"];
  }
}

setUpKey(document.getElementById("key-dialog"), document.getElementById("key-button"));
onKey(() => (trying === null ? choose(named()) : trying.refresh()));
addEventListener("hashchange", () => {
  show();
  if (shown() === "try" && named() && named() !== trying?.name) choose(named());
  nameInAddress();
  scrollTo(0, 0);
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // what stands after the # is the view
  document.getElementById("main").focus();
});
show();
choose(named());
lookWhetherReady();
