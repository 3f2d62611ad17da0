// The request on screen as curl and as Python, for people to take with them.

const LONG = 60_000;

/** A request: its address, its body, the form's entries (or null), and whether it needs a key. */
export function curl({ url, body, entries, keyed }) {
  const lines = [`curl -s ${quote(url)}`, "-H 'Content-Type: application/json'"];
  if (keyed) lines.push('-H "Authorization: Bearer $GATEWAY_API_KEY"');
  const files = filesOf(entries);
  if (files.length || body.length > LONG) {
    lines.push(`--data-binary @- <<${files.length ? "EOF" : "'EOF'"}`);
    const text = files.length ? members(entries, shellFile, shellText) : body;
    return `${lines.join(" \\\n  ")}\n${text}\nEOF`;
  }
  return [...lines, `-d ${quote(entries ? wrapped(body, entries) : body)}`].join(" \\\n  ");
}

/** The same with Python's own library. */
export function python({ url, body, entries, keyed }) {
  const files = filesOf(entries);
  const headers = ['    "Content-Type": "application/json",'];
  if (keyed) headers.push('    "Authorization": "Bearer " + os.environ["GATEWAY_API_KEY"],');
  const payload = entries ? members(entries, pythonFile, pythonText, "    ", ",\n", ",") : pythonText(body.trim());
  return [
    ...(files.length ? ["import base64"] : []),
    "import json",
    ...(keyed ? ["import os"] : []),
    ...(files.length ? ["from pathlib import Path"] : []),
    "from urllib.request import Request, urlopen",
    "",
    `payload = ${payload}`,
    "headers = {",
    ...headers,
    "}",
    `url = ${JSON.stringify(url)}`,
    "request = Request(url, json.dumps(payload).encode(), headers)",
    "with urlopen(request) as response:",
    "    print(json.dumps(json.load(response), indent=2))",
  ].join("\n");
}

/** Chosen pictures are read from their files; the example's stands there as it is. */
function filesOf(entries) {
  return (entries ?? []).filter(isFile).map(([, , file]) => file);
}

function isFile([, , file]) {
  return file !== "";
}

function members(entries, readFile, convert, indent = "  ", between = ",\n", last = "") {
  const lines = entries.map((entry) => {
    const [name, json, file] = entry;
    return `${indent}${convert(JSON.stringify(name))}: ${isFile(entry) ? readFile(file) : convert(json)}`;
  });
  return `{\n${lines.join(between)}${last}\n}`;
}

/** A few members a line, so that nobody has to scroll. */
function wrapped(body, entries) {
  const parts = entries.map(([name, json]) => `${JSON.stringify(name)}: ${json}`);
  const lines = [""];
  for (const part of parts) {
    const line = lines.at(-1);
    if (line && line.length + part.length > 70) lines.push(part);
    else lines[lines.length - 1] = line ? `${line}, ${part}` : part;
  }
  return `{${lines.join(",\n       ")}}`;
}

function quote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Inside a here-document the shell would still read these. */
function shellText(text) {
  return text.replace(/[\\$`]/g, "\\$&");
}

function shellFile(file) {
  return `"$(base64 < ${quote(file)} | tr -d '\\n')"`;
}

function pythonFile(file) {
  return `base64.b64encode(Path(${JSON.stringify(file)}).read_bytes()).decode()`;
}

/** JSON as a Python literal: other words for three values, and strings without surrogate pairs. */
function pythonText(json) {
  const names = { true: "True", false: "False", null: "None" };
  return json.replace(/"(?:[^"\\]|\\.)*"|\b(?:true|false|null)\b/g, (token) => {
    if (token in names) return names[token];
    try {
      return JSON.stringify(JSON.parse(token));
    } catch {
      return token;
    }
  });
}
