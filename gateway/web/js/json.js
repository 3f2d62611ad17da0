// JSON in which no number changes: whole numbers a double cannot hold are BigInts here.

const STRING = String.raw`"[^"\\]*(?:\\.[^"\\]*)*"`;
const NUMBERS = new RegExp(String.raw`${STRING}|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?`, "g");
const TOKENS = new RegExp(String.raw`${STRING}|[{}[\],:]|[^\s"{}[\],:]+`, "g");
const LONG = /^-?\d{16,}$/;

/** As `JSON.parse`, but for long whole numbers. */
export function parse(text) {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  const mark = `${Math.random()} `; // what no string in there begins with
  const marked = text.replace(NUMBERS, (token) => (LONG.test(token) ? `"${mark}${token}"` : token));
  return JSON.parse(marked, (_, value) =>
    (typeof value === "string" && value.startsWith(mark) ? whole(value.slice(mark.length)) : value));
}

function whole(digits) {
  return Number.isSafeInteger(Number(digits)) ? Number(digits) : BigInt(digits);
}

/** As `JSON.stringify`, with whole numbers of any length. */
export function write(value) {
  if (typeof value === "bigint") return String(value);
  if (Array.isArray(value)) return `[${value.map(write).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value ?? null);
  return `{${Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}:${write(one)}`).join(",")}}`;
}

/** JSON text laid out over lines; its numbers and strings stay as they are written. */
export function indent(text) {
  let [out, depth, last] = ["", 0, ""];
  for (const [token] of text.matchAll(TOKENS)) {
    if (token === "}" || token === "]") {
      depth -= 1;
      if (last !== "{" && last !== "[") out += line(depth);
    } else if (last === "{" || last === "[") {
      out += line(depth);
    }
    out += token;
    if (token === "{" || token === "[") depth += 1;
    else if (token === ",") out += line(depth);
    else if (token === ":") out += " ";
    last = token;
  }
  return out;
}

function line(depth) {
  return `\n${"  ".repeat(depth)}`;
}
