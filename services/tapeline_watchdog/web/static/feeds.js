// Feeds: state and latency of each stream, the worst first.

import { count, duration, fixed, known } from "./format.js";
import { fill, piece, state } from "./table.js";

const STATES = {
  DISCONNECTED: ["■", "bad"],
  SILENT: ["◆", "bad"],
  DEGRADED: ["▲", "warn"],
  REPLAYING: ["↻", "note"],
  LIVE: ["●", "good"],
  QUIET: ["◐", "calm"],
  CLOSED: ["○", "calm"],
};
const ORDER = Object.keys(STATES);
export const FAULTS = new Set(["DISCONNECTED", "SILENT", "DEGRADED"]);

function rank(feed) {
  const at = ORDER.indexOf(feed.state);
  return at < 0 ? ORDER.length : at;
}

function why(feed) {
  const flags = feed.flags.map((flag) => flag.reason || flag.name).filter((flag) => !feed.reason.includes(flag));
  return [feed.reason, ...flags].filter(Boolean).join("; ");
}

function rate(feed) {
  const usual = known(feed.usual_ticks_per_s) ? [piece(`usually ${fixed(feed.usual_ticks_per_s, 1)}`, "sub")] : [];
  return [piece(fixed(feed.ticks_per_s, 1)), ...usual];
}

export function showFeeds(document, table) {
  const ordered = [...document.feeds].sort((a, b) => rank(a) - rank(b));
  fill(table, ordered.map((feed) => {
    const [mark, tone] = STATES[feed.state] || ["?", "calm"];
    const latency = feed.latency || {};
    const name = [piece(feed.stream), piece(`${feed.source} · ${feed.kind}`, "sub")];
    if (why(feed)) name.push(piece(why(feed), FAULTS.has(feed.state) ? "sub warn" : "sub"));
    return {
      key: [feed.source, feed.stream, feed.kind].join("/"),
      className: FAULTS.has(feed.state) ? "fault" : "",
      cells: [
        name,
        state(mark, feed.state, tone),
        duration(latency.p50_s),
        duration(latency.p99_s),
        rate(feed),
        duration(feed.silence_s),
        count(feed.reconnects),
      ],
    };
  }));
  return ordered;
}

export function summary(feeds) {
  const live = feeds.filter((feed) => feed.state === "LIVE" || feed.state === "QUIET").length;
  const bad = feeds.filter((feed) => FAULTS.has(feed.state)).length;
  const text = `${live} of ${feeds.length}`;
  return bad ? [piece("▲ ", "mark warn", { hidden: true }), piece(text), piece(` ${bad} not well`, "sub")] : [piece(text)];
}
