// The field of an image: a file, seen before it is sent in base64.

import { h, unique } from "./dom.js";
import { bytes } from "./format.js";

const SMALL = 112; // pixels; what is smaller is shown with its pixels as they are

/** See fields.js; `file()` is the chosen file's name, for the code that is shown. */
export function imageField(feature, changed) {
  let encoded = null;
  let name = "";
  let choices = 0; // files are read in their own time: only the one chosen last counts
  const control = h("input", { id: unique("field"), type: "file", accept: "image/png,image/jpeg" });
  const preview = h("img", { class: "preview", alt: "", hidden: true });
  const told = h("p", { class: "about", role: "status" }, hint(feature));
  const body = h("div", { class: "drop" }, preview, h("div", {}, control, told));

  function show(source, words) {
    preview.hidden = source === null;
    if (source !== null) preview.src = source;
    preview.alt = words;
    told.textContent = words || hint(feature);
  }

  function keep(content, file, source, words) {
    encoded = content;
    name = file;
    show(source, words);
  }

  async function take(file) {
    const mine = (choices += 1);
    try {
      const source = await asDataUrl(file);
      if (mine !== choices) return;
      keep(source.slice(source.indexOf(",") + 1), file.name, source, `${file.name}, ${bytes(file.size)}`);
    } catch {
      if (mine !== choices) return;
      keep(null, "", null, `${file.name} cannot be read; choose another.`);
    }
    changed();
  }

  function set(value, origin = "") {
    const content = typeof value === "string" ? value : value?.b64 ?? null;
    if (content === encoded && content !== null) return;
    choices += 1;
    control.value = "";
    keep(content, "", content && `data:image/png;base64,${content}`, content ? origin : "");
  }

  control.addEventListener("change", () => control.files[0] && take(control.files[0]));
  preview.addEventListener("error", () => { preview.hidden = true; });
  preview.addEventListener("load", () => preview.classList.toggle("small", preview.naturalWidth < SMALL));
  takeDrops(body, take);
  return {
    control, body, set,
    json: () => (encoded === null ? null : JSON.stringify(encoded)),
    file: () => name,
  };
}

/** Files dropped on an element are taken; while one is held over it, it is of the class `over`. */
function takeDrops(element, take) {
  const over = (event) => {
    event.preventDefault();
    element.classList.toggle("over", event.type === "dragover");
  };
  element.addEventListener("dragover", over);
  element.addEventListener("dragleave", over);
  element.addEventListener("drop", (event) => {
    over(event);
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  });
}

function hint(feature) {
  const [height, width] = feature.size ?? [];
  const size = height ? `It becomes ${width} × ${height} pixels` : "An image";
  const mode = { L: ", grey", RGB: ", in colour" }[feature.mode] ?? "";
  return `${size}${mode}.`;
}

function asDataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
