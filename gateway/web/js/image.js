// The field of an image: a file, seen before it is sent in base64.

import { h, unique } from "./dom.js";

/** See fields.js; `file()` is the chosen file's name, for the code that is shown. */
export function imageField(feature, changed) {
  let encoded = null;
  let name = "";
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

  async function take(file) {
    const source = await asDataUrl(file);
    encoded = source.slice(source.indexOf(",") + 1);
    name = file.name;
    show(source, `${file.name}, ${Math.ceil(file.size / 1024).toLocaleString("en")} kB`);
    changed();
  }

  control.addEventListener("change", () => control.files[0] && take(control.files[0]));
  preview.addEventListener("error", () => { preview.hidden = true; });
  for (const kind of ["dragover", "drop"]) {
    body.addEventListener(kind, (event) => {
      event.preventDefault();
      if (kind === "drop" && event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
    });
  }
  return {
    control, body,
    json: () => (encoded === null ? null : JSON.stringify(encoded)),
    file: () => name,
    set: (value) => {
      encoded = typeof value === "string" ? value : value?.b64 ?? null;
      name = "";
      control.value = "";
      if (encoded) show(`data:image/png;base64,${encoded}`, "The model’s example");
      else show(null, "");
    },
  };
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
