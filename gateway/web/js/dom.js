// Makes elements. Text is always set as text: nothing that is shown can become markup.

const EDGE = 200; // pixels at the window's lower edge in which nothing is seen well
const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes, listeners (`onclick` and so on) and children; null is left out. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

/** Scroll to an element that nobody could see now. */
export function bringIntoView(element) {
  const { top, bottom } = element.getBoundingClientRect();
  if (top < innerHeight - EDGE && bottom > 0) return;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  element.scrollIntoView({ block: "start", behavior: still ? "auto" : "smooth" });
}

let last = 0;

/** An id no other element has. */
export function unique(stem) {
  last += 1;
  return `${stem}-${last}`;
}

/** A button that copies what `text()` gives, and says so. */
export function copyButton(text, what) {
  const button = h("button", { type: "button", class: "quiet copy" }, "Copy");
  const told = h("span", { class: "unseen", role: "status" });
  button.setAttribute("aria-label", `Copy ${what}`);
  button.addEventListener("click", async () => {
    const done = await copy(text());
    button.textContent = done ? "Copied" : "Not allowed";
    told.textContent = done ? `${what} copied` : "The browser did not allow copying";
    setTimeout(() => {
      button.textContent = "Copy";
      told.textContent = "";
    }, 1800);
  });
  return h("span", {}, button, told);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/** Over plain HTTP from another machine there is no clipboard API. */
function copyBySelection(text) {
  const area = h("textarea", { class: "unseen", "aria-hidden": "true" });
  area.value = text;
  document.body.append(area);
  const before = document.activeElement;
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  before?.focus();
  return done;
}
