// Reads Prometheus' text format, and makes rates and percentiles of two readings.

const LINE = /^(gateway_(?:requests_total|request_seconds_bucket|batch_rows_sum|batch_rows_count|shadow_rows_total|shadow_requests_total|workers))(?:\{(.*)\})? (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;
const DOORS = new Set(["/v1/predict", "/v1/compare"]);

/** What the view needs of one reading, taken at `time` in seconds. */
export function reading(text, time) {
  const found = { time, requests: 0, failed: 0, rows: 0, calls: 0, buckets: new Map(), workers: 1, shadowed: new Map() };
  for (const line of text.split("\n")) {
    const match = LINE.exec(line);
    if (match) add(found, match[1], labels(match[2] ?? ""), Number(match[3]));
  }
  return found;
}

function labels(text) {
  return Object.fromEntries([...text.matchAll(LABEL)].map(([, name, value]) => [name, value]));
}

function add(found, metric, label, value) {
  if (metric === "gateway_batch_rows_sum") found.rows += value;
  else if (metric === "gateway_batch_rows_count") found.calls += value;
  else if (metric === "gateway_workers") found.workers = value;
  else if (metric.startsWith("gateway_shadow")) found.shadowed.set(`${label.model} ${label.candidate} ${label.outcome}`, value);
  else if (!DOORS.has(label.door)) return;
  else if (metric === "gateway_requests_total") {
    found.requests += value;
    if (label.status.startsWith("5")) found.failed += value;
  } else if (label.door === "/v1/predict") {
    const limit = Number(label.le === "+Inf" ? Infinity : label.le);
    found.buckets.set(limit, (found.buckets.get(limit) ?? 0) + value);
  }
}

/** What happened between two readings; null where the counters began anew. */
export function between(before, after) {
  const seconds = after.time - before.time;
  const requests = after.requests - before.requests;
  if (seconds <= 0 || requests < 0 || after.rows < before.rows) return null;
  const calls = after.calls - before.calls;
  const rows = after.rows - before.rows;
  const counts = [...after.buckets].sort(([a], [b]) => a - b)
    .map(([limit, count]) => [limit, count - (before.buckets.get(limit) ?? 0)]);
  return {
    time: after.time,
    requests: requests / seconds,
    failed: (after.failed - before.failed) / seconds,
    rows: rows / seconds,
    batch: calls > 0 ? rows / calls : null,
    p50: quantile(counts, 0.5),
    p99: quantile(counts, 0.99),
  };
}

/** In milliseconds, as Prometheus' histogram_quantile reckons; null of nothing. */
export function quantile(counts, share) {
  const total = counts.at(-1)?.[1] ?? 0;
  if (total <= 0) return null;
  let [low, below] = [0, 0];
  for (const [limit, count] of counts) {
    if (count >= share * total) {
      if (limit === Infinity) return low * 1000;
      return (low + (limit - low) * ((share * total - below) / (count - below))) * 1000;
    }
    [low, below] = [limit, count];
  }
  return low * 1000;
}
