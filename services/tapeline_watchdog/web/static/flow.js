// Option flow: what was bought and sold in the newest window of each length, by expiry.

import { count, dollars, duration, expiryOf, fixed, isForgotten, known, milliseconds, utc, DASH } from "./format.js";
import { fill, piece, state } from "./table.js";

const MOST_LINES = 60;
const flows = new Map();
let untilMs = 0;

export function takeFlow(rows, table, nowMs) {
  for (const row of rows) {
    const key = [row.key, row.source, row.stream, row.kind, row.window_ms].join("/");
    const known = flows.get(key);
    if (known === undefined || BigInt(known.window_start) <= BigInt(row.window_start)) flows.set(key, row);
    untilMs = Math.max(untilMs, milliseconds(row.window_start) + row.window_ms);
  }
  dropExpired(nowMs);
  render(table, nowMs);
}

/** Drop what has expired meanwhile. */
export function ageFlow(table, nowMs) {
  if (dropExpired(nowMs)) render(table, nowMs);
}

function dropExpired(nowMs) {
  const expired = [...flows].filter(([, row]) => isForgotten(row.expiry, nowMs));
  for (const [key] of expired) flows.delete(key);
  return expired.length > 0;
}

export function forgetFlow() {
  flows.clear();
}

/** Return the newest window's end in ms, of what has expired as well. */
export function newestMs() {
  return untilMs;
}

function sides(row, right) {
  const [bought, sold, unsigned] = ["buy", "sell", "unsigned"].map((side) => row[`${right}_${side}_volume`]);
  if (!known(bought) || !known(sold)) return DASH;
  const open = unsigned ? [piece(` ${count(unsigned)} unsigned`, "sub")] : [];
  return [piece(`${count(bought)} / ${count(sold)}`), ...open, piece(dollars(row[`premium_${right}`], 0), "sub")];
}

function render(table, nowMs) {
  const order = (row) => [row.expiry.padStart(20, "0"), row.key, row.source, row.stream, row.kind, String(row.window_ms).padStart(9, "0")].join("/");
  const ordered = [...flows.entries()].sort(([, a], [, b]) => (order(a) < order(b) ? -1 : 1));
  const lines = ordered.slice(0, MOST_LINES).map(([key, row]) => {
    const missing = row.delta_missing_volume ? [piece(` without ${count(row.delta_missing_volume)}`, "sub")] : [];
    return {
      key,
      cells: [
        [piece(`${row.underlying} ${expiryOf(row.expiry)}`), piece(`${row.source} · ${row.kind}`, "sub")],
        duration(row.window_ms / 1000),
        sides(row, "call"),
        sides(row, "put"),
        [piece(fixed(row.delta_flow, 1, true)), ...missing],
        fixed(row.vega_flow, 1, true),
        utc(milliseconds(row.window_start) + row.window_ms, nowMs),
        row.trade_valid ? state("✓", "yes", "good") : state("▲", row.reasons.join(", ").replaceAll("_", " ") || "no", "warn"),
      ],
    };
  });
  const more = ordered.length - lines.length;
  if (more > 0) lines.push({ key: "", cells: [`${count(more)} more`, ...Array(7).fill("")] });
  fill(table, lines);
}
