// The strike ladder of one chain, with where it comes from and whether it can be trusted.

import { DASH, count, duration, expiryOf, fixed, isForgotten, known, milliseconds, price, share } from "./format.js";
import { exactly, fill, piece, show } from "./table.js";

const chains = new Map();
let chosen = null;
let nowMs = () => Date.now();

export function startChain(parts, clock) {
  nowMs = clock;
  parts.choice.addEventListener("change", () => {
    chosen = parts.choice.value;
    render(parts);
  });
}

export function takeChains(rows, parts) {
  for (const chain of rows) chains.set(chain.key, chain);
  for (const [key, chain] of chains) {
    if (key !== chosen && chains.size > 1 && isForgotten(chain.expiry, nowMs())) chains.delete(key);
  }
  choices(parts.choice);
  render(parts);
}

/** Show how old the chain is by now. */
export function ageChain(parts) {
  if (chains.size) show(parts.facts, facts(shown()));
}

export function newestMs() {
  return Math.max(0, ...[...chains.values()].map((chain) => milliseconds(chain.as_of)));
}

function ordered() {
  return [...chains.values()].sort((a, b) => (BigInt(a.expiry) < BigInt(b.expiry) ? -1 : 1));
}

/** Return the chosen chain, else the one that expires next. */
function shown() {
  const all = ordered();
  return chains.get(chosen) || all.find((chain) => milliseconds(chain.expiry) > nowMs()) || all[all.length - 1];
}

function choices(select) {
  const wanted = ordered();
  const signature = wanted.map((chain) => chain.key).join("\n");
  if (select.dataset.signature !== signature) {
    select.dataset.signature = signature;
    select.replaceChildren(...wanted.map((chain) => {
      const option = document.createElement("option");
      option.value = chain.key;
      option.textContent = `${chain.underlying}, ${expiryOf(chain.expiry)} Chicago`;
      return option;
    }));
  }
  select.value = shown().key;
}

function facts(chain) {
  const age = (nowMs() - milliseconds(chain.as_of)) / 1000;
  const isLive = chain.mode === "live" && age <= 5;
  const vendor = chain.vendor === chain.source ? "" : ` (${chain.vendor})`;
  const said = [piece(`${isLive ? "● " : "▲ "}${chain.source}${vendor} ${chain.mode}, ${duration(age)} old`, isLive ? "good" : "warn")];
  const left = (milliseconds(chain.expiry) - nowMs()) / 1000;
  said.push(piece(left > 0 ? ` · expires in ${duration(left)}` : " · expired"));
  if (chain.delay_s) said.push(piece(` · delayed by the vendor ${duration(chain.delay_s)}`, "warn"));
  if (chain.forward) said.push(piece(` · forward ${fixed(Number(chain.forward.value), 2)} by ${chain.forward.from}`));
  if (chain.underlying_price) said.push(piece(` · ${chain.underlying} ${price(chain.underlying_price.value).join("")}`));
  const expected = known(chain.expected) ? ` of ${count(chain.expected)} (${chain.expected_from})` : "";
  said.push(piece(` · ${count(chain.received)}${expected} contracts`, chain.complete ? "" : "warn"));
  const verdict = chain.verdict;
  if (verdict) {
    const rules = Object.entries(verdict.rules).map(([rule, times]) => `${rule} × ${times}`).join(", ");
    const isClean = !verdict.errors && !verdict.warnings;
    said.push(piece(isClean ? " · no findings" : ` · ${verdict.errors} errors, ${verdict.warnings} warnings (${rules})`, verdict.errors ? "bad" : ""));
  }
  if (chain.flags && chain.flags.length) said.push(piece(` · ${chain.flags.join(" ").replaceAll("_", " ")}`, "warn"));
  if (chain.chosen_because) said.push(piece(` · chosen because ${chain.chosen_because}`));
  return said;
}

function volume(row) {
  if (!row || !known(row.volume)) return DASH;
  return row.volume_is_stale ? [piece(`(${count(row.volume)})`, "dim", { title: "of an earlier day" })] : count(row.volume);
}

function side(row) {
  const of = (name) => (row ? row[name] : null);
  return {
    interest: count(of("open_interest")),
    volume: volume(row),
    volatility: share(of("iv_mid"), 1),
    delta: fixed(of("delta"), 2, true),
    bid: exactly(price(of("bid"))),
    ask: exactly(price(of("ask"))),
  };
}

function render(parts) {
  const chain = shown();
  show(parts.facts, facts(chain));
  fill(parts.table, chain.strikes.map((line) => {
    const call = side(line.call), put = side(line.put);
    const flags = [...new Set([line.call, line.put].flatMap((row) => (row ? row.flags || [] : [])))].sort();
    const strike = exactly(price(line.strike));
    return {
      key: `${chain.key}/${line.strike}`,
      className: line.is_at_the_money ? "money" : "",
      cells: [
        call.interest, call.volume, call.volatility, call.delta, call.bid, call.ask,
        line.is_at_the_money ? [piece("◆ ", "mark", { hidden: true }), ...strike, piece(" at the money", "unseen")] : strike,
        put.bid, put.ask, put.delta, put.volatility, put.volume, put.interest,
        flags.filter((flag) => flag !== "stale_volume").join(", ").replaceAll("_", " "),
      ],
    };
  }), 6);
}
