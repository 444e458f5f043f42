// Bid/ask pressure: a card per symbol with its newest window of one second, and a chart of the last two minutes.

import { count, duration, fixed, milliseconds, price, signed, utc } from "./format.js";
import { draw, makeChart } from "./chart.js";
import { exactly, piece, show, state } from "./table.js";

const WINDOWS = 120;
const MOST_SYMBOLS = 256; // as the stream has
const OLD_MS = 10000;
const FIGURES = ["Mid", "Spread", "Queue", "OFI", "Buy / sell", "CVD", "Trusted"];

const symbols = new Map();

export function forgetPressure() {
  for (const symbol of symbols.values()) symbol.rows.clear();
}

function untilMs(row) {
  return milliseconds(row.window_start) + row.window_ms;
}

function card(row) {
  const article = document.createElement("article");
  const heading = document.createElement("h3");
  const age = document.createElement("p");
  const chart = makeChart();
  const list = document.createElement("dl");
  const figures = FIGURES.map((name) => {
    const pair = document.createElement("div");
    const term = document.createElement("dt");
    term.textContent = name;
    const figure = document.createElement("dd");
    pair.append(term, figure);
    list.append(pair);
    return figure;
  });
  show(heading, [piece(row.symbol), piece(`${row.source} · ${row.kind} · ${row.stream}`, "sub")]);
  article.append(heading, age, chart.svg, list);
  article.dataset.symbol = row.symbol;
  return { article, age, chart, figures, rows: new Map(), untilMs: untilMs(row) };
}

/** Make room as the stream does, for which those that are live are never too many. */
function dropOldest() {
  const [key] = [...symbols.entries()].reduce((a, b) => (b[1].untilMs < a[1].untilMs ? b : a));
  symbols.delete(key);
}

/** Take rows; of one window that with the highest revision counts. */
export function takePressure(rows, container, nowMs) {
  const changed = new Set();
  let hasNew = false;
  for (const row of rows) {
    const key = [row.symbol, row.source, row.stream, row.kind].join("\n");
    if (!symbols.has(key)) {
      if (symbols.size >= MOST_SYMBOLS) dropOldest();
      symbols.set(key, card(row));
      hasNew = true;
    }
    const symbol = symbols.get(key);
    const known = symbol.rows.get(row.window_start);
    if (known === undefined || known.revision <= row.revision) symbol.rows.set(row.window_start, row);
    changed.add(symbol);
  }
  if (hasNew) container.replaceChildren(...[...symbols.keys()].sort().map((key) => symbols.get(key).article));
  for (const symbol of changed) render(symbol);
  agePressure(nowMs);
}

/** Say of each symbol of which nothing came lately how old it is: its figures are those of its last window. */
export function agePressure(nowMs) {
  for (const { article, age, untilMs } of symbols.values()) {
    const isOld = nowMs - untilMs > OLD_MS;
    article.classList.toggle("stale", isOld);
    const seconds = Math.floor((nowMs - untilMs) / 1000);
    const words = `${duration(seconds)} old: nothing after ${utc(untilMs, nowMs)} UTC`;
    show(age, isOld ? [piece("▲ ", "mark warn", { hidden: true }), piece(words, "warn")] : "");
  }
}

/** Return the newest window's end in ms. */
export function newestMs() {
  return Math.max(0, ...[...symbols.values()].map((symbol) => symbol.untilMs));
}

function render(symbol) {
  const ordered = [...symbol.rows.values()].sort((a, b) => (BigInt(a.window_start) < BigInt(b.window_start) ? -1 : 1));
  for (const row of ordered.splice(0, ordered.length - WINDOWS)) symbol.rows.delete(row.window_start);
  const row = ordered[ordered.length - 1];
  symbol.untilMs = untilMs(row);
  const lean = row.queue_imbalance === null ? "" : row.queue_imbalance > 0 ? "▲ " : row.queue_imbalance < 0 ? "▼ " : "";
  const tone = row.queue_imbalance > 0 ? "buy" : row.queue_imbalance < 0 ? "sell" : "";
  const cells = [
    exactly(price(row.mid)),
    exactly(price(row.spread)),
    [piece(lean, "mark " + tone, { hidden: true }), piece(fixed(row.queue_imbalance, 2, true), tone)],
    signed(row.order_flow_imbalance),
    `${count(row.buy_volume)} / ${count(row.sell_volume)}`,
    signed(row.cumulative_volume_delta),
    row.is_valid ? state("✓", "yes", "good") : state("▲", row.reasons.join(", ").replaceAll("_", " ") || "no", "warn"),
  ];
  symbol.figures.forEach((figure, at) => show(figure, cells[at]));
  const label = `${row.symbol}: mid ${price(row.mid).join("")}, queue imbalance ${fixed(row.queue_imbalance, 2, true)},`
    + ` ${ordered.length} windows of one second until ${utc(symbol.untilMs)} UTC`;
  draw(symbol.chart, ordered, label);
}
