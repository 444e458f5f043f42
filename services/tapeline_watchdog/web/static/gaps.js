// Gaps, and how far their backfills are.

import { DASH, count, dollars, duration, known, share, utcOf } from "./format.js";
import { fill, flagged, piece, state } from "./table.js";

const STAGES = {
  open: ["■", "bad"],
  bounded: ["▲", "warn"],
  requested: ["↻", "note"],
  filled: ["◐", "note"],
  given_up: ["✕", "bad"],
  proven: ["✓", "good"],
};
const ORDER = Object.keys(STAGES);
const OVER = new Set(["proven", "given_up"]);
const MISSING = new Set(["open", "bounded", "requested"]);

function progress(request) {
  if (!request) return DASH;
  const told = [request.type.replace("_", " "), request.back_end].filter(Boolean).join(" by ");
  const said = [piece(told)];
  if (known(request.estimated_records) && request.estimated_records > 0) {
    const done = Math.min(1, request.read / request.estimated_records);
    said.push(piece(undefined, "bar", { tag: "progress", value: done, max: 1, label: `${share(done)} of the backfill` }));
    said.push(piece(` ${share(done)}`, "sub"));
  }
  if (request.reason) said.push(piece(request.reason, "sub"));
  return said;
}

function records(request) {
  if (!request) return DASH;
  const skipped = request.skipped ? [piece(`${count(request.skipped)} were there`, "sub")] : [];
  return [piece(count(request.published)), ...skipped];
}

export function showGaps(document, table, nowMs) {
  const rank = (gap) => ORDER.indexOf(gap.stage);
  const ordered = [...document.gaps].sort((a, b) => rank(a) - rank(b) || (a.opened_at < b.opened_at ? 1 : -1));
  const lines = ordered.map((gap) => {
    const [mark, tone] = STAGES[gap.stage] || ["?", "calm"];
    const symbols = gap.symbols.length === 1 && gap.symbols[0] === "*" ? "" : " · " + gap.symbols.join(" ");
    return {
      key: gap.id + gap.kind,
      className: OVER.has(gap.stage) ? "over" : "",
      cells: [
        [piece(gap.stream), piece(`${gap.source} · ${gap.kind}${symbols}`, "sub")],
        state(mark, gap.stage.replace("_", " "), tone),
        [
          piece(`${utcOf(gap.ts_event_from, nowMs)} – ${utcOf(gap.ts_event_until, nowMs)}`),
          piece(known(gap.missing_s) ? `${duration(gap.missing_s)} missing` : "", "sub"),
        ],
        gap.reason || DASH,
        progress(gap.request),
        records(gap.request),
        dollars(gap.request ? gap.request.cost_usd : null),
      ],
    };
  });
  if (document.left_out) lines.push({ key: "", cells: [`${count(document.left_out)} more`, ...Array(6).fill("")] });
  fill(table, lines);
  return ordered;
}

export function summary(gaps) {
  const missing = gaps.filter((gap) => MISSING.has(gap.stage)).length;
  const filled = gaps.filter((gap) => gap.stage === "filled").length;
  const waiting = filled ? [piece(` ${count(filled)} filled, not proven yet`, "sub")] : [];
  return [...flagged(missing), ...waiting];
}
