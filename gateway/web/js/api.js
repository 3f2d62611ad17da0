// Asks the gateway. The API key lives as long as this tab, and goes nowhere but to the gateway.

import { parse } from "./json.js";

const KEY = "gateway-api-key";
const heard = new Set();

/** What went wrong, as the gateway's problem document or in the same form. */
export class Problem extends Error {
  constructor(status, document, retryAfter = 0) {
    super(document.detail ?? document.title);
    this.status = status;
    this.title = document.title ?? `HTTP ${status}`;
    this.detail = document.detail ?? "";
    this.errors = document.errors ?? [];
    this.retryAfter = retryAfter;
    this.limitBytes = document.limit_bytes ?? 0;
    this.requestId = document.request_id ?? "";
  }
}

/** The key, or "". */
export function apiKey() {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

/** Keep a key for this tab; "" forgets it. Tells everyone who listens. */
export function setApiKey(key) {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
  for (const listener of heard) listener();
}

/** Call `listener` whenever the key has changed. */
export function onKey(listener) {
  heard.add(listener);
}

/** The address of a door, below whatever path the gateway is published at. */
export function address(path, query = {}) {
  const url = new URL(path.replace(/^\//, ""), document.baseURI);
  url.hash = "";
  url.search = new URLSearchParams(query).toString();
  return url;
}

/** The headers of a request that is sent with the key. */
export function keyHeaders() {
  const key = apiKey();
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** Ask a door; gives its answer, its headers and the milliseconds it took. Throws a Problem. */
export async function ask(path, { query = {}, body = null, text = false } = {}) {
  const headers = keyHeaders();
  if (body !== null) headers["Content-Type"] = "application/json";
  const started = performance.now();
  let response;
  try {
    const method = body === null ? "GET" : "POST";
    response = await fetch(address(path, query), { method, headers, body, cache: "no-store" });
  } catch {
    throw new Problem(0, { title: "The gateway cannot be reached", detail: "It did not answer." });
  }
  const content = await response.text();
  const took = performance.now() - started;
  if (!response.ok) throw problem(response, content);
  const answer = text ? content : parse(content);
  return { content: answer, headers: response.headers, milliseconds: took };
}

function problem(response, content) {
  const wait = Number(response.headers.get("Retry-After") ?? 0);
  try {
    return new Problem(response.status, JSON.parse(content), wait);
  } catch {
    return new Problem(response.status, { detail: content.slice(0, 300) }, wait);
  }
}
