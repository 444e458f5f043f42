// The page: takes what the stream tells, gives each part its own, and says how old everything is.

import { DASH, count, duration, exchange, milliseconds, utc } from "./format.js";
import { follow } from "./link.js";
import { flagged, piece, show } from "./table.js";
import * as chain from "./chain.js";
import * as costs from "./costs.js";
import * as feeds from "./feeds.js";
import * as flow from "./flow.js";
import * as gaps from "./gaps.js";
import * as incidents from "./incidents.js";
import * as lag from "./lag.js";
import * as pressure from "./pressure.js";

const TYPES = ["begin", "parts", "feeds", "lag", "gaps", "incidents", "costs", "pressure", "chain", "flow", "beat"];
const OLD_S = { feeds: 10, lag: 60, gaps: 60, incidents: 60, costs: 3600, pressure: 10, chain: 30, flow: 120 };
const SUMMARIES = { feeds: "sum-feeds", lag: "sum-lag", gaps: "sum-gaps", incidents: "sum-incidents", costs: "sum-costs" };
const AT_MARKET = { pressure: "newest window until", chain: "newest chain as of", flow: "newest window until" };
const CHAIN = { choice: at("chain-choice"), facts: at("chain-facts"), table: at("chain-table") };
const COSTS = { table: at("costs-table"), budget: at("costs-budget"), meter: at("costs-meter"), advice: at("costs-advice") };

const sections = new Map([...document.querySelectorAll("[data-part]")].map((section) => [section.dataset.part, section]));
const asOfMs = new Map();
const absent = new Map();
const isStopped = new Set();
let aheadMs = 0; // how far the watchdog's clock is ahead of ours
let link = "connecting";
let lostMs = 0;
let told = null;

function at(id) {
  return document.getElementById(id);
}

function nowMs() {
  return Date.now() + aheadMs;
}

const takes = {
  begin(document) {
    takes.beat(document);
    pressure.forgetPressure();
    flow.forgetFlow();
    absent.clear();
  },
  beat(document) {
    aheadMs = milliseconds(document.at) - Date.now();
  },
  parts(document) {
    for (const row of document.rows) {
      if (row.available) absent.delete(row.part);
      else absent.set(row.part, row.reason);
      if (row.part === "pressure") show(at("pressure-more"), row.left_out ? `${count(row.left_out)} more are not shown` : "");
    }
  },
  feeds(document) {
    const rows = feeds.showFeeds(document, at("feeds-table"));
    show(at("sum-feeds"), feeds.summary(rows));
  },
  lag(document) {
    show(at("sum-lag"), lag.summary(lag.showLag(document, at("lag-table"))));
  },
  gaps(document) {
    show(at("sum-gaps"), gaps.summary(gaps.showGaps(document, at("gaps-table"), nowMs())));
  },
  incidents(document) {
    const open = incidents.openOf(incidents.showIncidents(document, at("incidents-table"), nowMs()));
    show(at("sum-incidents"), flagged(open.length));
    announce(open);
  },
  costs(document) {
    costs.showCosts(document, COSTS);
    show(at("sum-costs"), costs.summary(document));
  },
  pressure(document) {
    pressure.takePressure(document.rows, at("pressure-cards"), nowMs());
    asOfMs.set("pressure", pressure.newestMs());
  },
  chain(document) {
    chain.takeChains(document.rows, CHAIN);
    asOfMs.set("chain", chain.newestMs());
  },
  flow(document) {
    flow.takeFlow(document.rows, at("flow-table"), nowMs());
    asOfMs.set("flow", flow.newestMs());
  },
};

/** Tell those who cannot see of incidents: when one opens, closes or becomes worse, and not of every figure. */
function announce(open) {
  const words = told === null ? "" : incidents.changes(told, open);
  if (words) at("news").textContent = words;
  told = open;
  document.title = open.length ? `(${open.length}) Tapeline` : "Tapeline";
}

function take(type, document) {
  takes[type](document);
  if (document.at && sections.has(type)) asOfMs.set(type, milliseconds(document.at));
  if (document.fresh === false) isStopped.add(type);
  else isStopped.delete(type);
  if (type !== "beat") label();
}

function setLink(state) {
  if (state === "lost" && link === "live") lostMs = nowMs();
  link = state;
  document.body.dataset.link = state;
  const lost = lostMs ? `not connected since ${utc(lostMs)} UTC: what is shown is of then` : "not connected yet: still trying";
  at("link-words").textContent = state === "live" ? "live" : lost;
  label();
}

/** Say of every part whether it has anything to show, of when that is, and whether it is live. */
function label() {
  for (const [part, section] of sections) {
    const reason = absent.get(part);
    const atMs = asOfMs.get(part);
    const hasRows = Boolean(atMs) && reason === undefined;
    section.querySelector("[data-body]").hidden = !hasRows;
    if (!hasRows && part in SUMMARIES) show(at(SUMMARIES[part]), DASH);
    const none = section.querySelector("[data-absent]");
    none.hidden = hasRows;
    none.textContent = reason === undefined ? "nothing yet" : `not available: ${reason}`;
    const age = (nowMs() - atMs) / 1000;
    const isOld = link !== "live" || age > OLD_S[part] || isStopped.has(part);
    section.classList.toggle("stale", hasRows && isOld);
    const there = part in AT_MARKET ? `, ${exchange(atMs || 0)} Chicago` : "";
    const words = `${AT_MARKET[part] || "as of"} ${utc(atMs || 0, nowMs())} UTC${there}`;
    const mark = link !== "live" ? " · not live" : isStopped.has(part) ? " · Kafka does not answer" : ` · ${duration(age)} old`;
    show(section.querySelector("[data-as-of]"), hasRows ? [piece(words), ...(isOld ? [piece(mark, "warn")] : [])] : "");
  }
}

function tick() {
  at("clock-utc").textContent = utc(nowMs());
  at("clock-exchange").textContent = exchange(nowMs());
  pressure.agePressure(nowMs());
  chain.ageChain(CHAIN);
  flow.ageFlow(at("flow-table"), nowMs());
  label();
}

chain.startChain(CHAIN, nowMs);
setInterval(tick, 1000);
tick();
follow("/v1/stream", TYPES, take, setLink);
