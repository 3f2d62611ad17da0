// Numbers and names as people read them.

/** `digits` significant digits, but all before the point, with a true minus sign. */
export function number(value, digits = 6) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "bigint") return value.toLocaleString("en").replace("-", "−");
  const size = Math.abs(value);
  let text = String(value);
  if (Number.isSafeInteger(value)) text = value.toLocaleString("en");
  else if (size !== 0 && (size < 1e-4 || size >= 1e9)) text = value.toExponential(2).replace("e+", "e");
  else text = Number(value.toPrecision(Math.max(digits, Math.ceil(Math.log10(size))))).toLocaleString("en", { maximumFractionDigits: 12 });
  return text.replaceAll("-", "−");
}

/** Milliseconds with a unit. */
export function milliseconds(value) {
  if (value === null || value === undefined) return "–";
  if (value >= 1000) return `${number(value / 1000, 3)} s`;
  return `${number(value, value < 0.1 ? 1 : 3)} ms`;
}

/** A size as people read it. */
export function bytes(size) {
  const units = ["bytes", "kB", "MB", "GB"];
  const step = Math.min(Math.floor(Math.log2(Math.max(size, 1)) / 10), 3);
  return `${number(size / 1024 ** step, 3)} ${units[step]}`;
}

/** A share as percent. */
export function percent(share) {
  return share === null ? "–" : `${number(share * 100, 4)} %`;
}

/** A feature's or an output's name as words. */
export function words(name) {
  return name.replaceAll("_", " ");
}

/** "1 row", "2 rows". */
export function count(amount, noun) {
  return `${number(amount)} ${noun}${amount === 1 ? "" : "s"}`;
}

/** A lineage as its framework writes itself. */
export function framework(lineage) {
  const known = { pytorch: "PyTorch", tensorflow: "TensorFlow", sklearn: "scikit-learn", keras: "Keras" };
  return known[lineage] ?? lineage;
}

/** A backend as it writes itself. */
export function server(backend) {
  const known = { onnx: "ONNX Runtime", torchserve: "TorchServe", tfserving: "TensorFlow Serving" };
  return known[backend] ?? backend;
}

/** That what answers in a backend's place is not the real one. */
export function standIn(backend) {
  return `A stand-in, not the real ${server(backend)}`;
}

/** The shape of nested lists, as "3 × 224". */
export function shapeOf(value) {
  const sizes = [];
  for (let inner = value; Array.isArray(inner); inner = inner[0]) sizes.push(inner.length);
  return sizes.join(" × ");
}
