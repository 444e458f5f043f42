// Incidents: those that are open first.

import { count, duration, known, milliseconds, utcOf } from "./format.js";
import { fill, piece, state } from "./table.js";

const SHOWN = 3;

function lasted(incident, nowMs) {
  const end = known(incident.closed_at) ? milliseconds(incident.closed_at) : nowMs;
  return duration(Math.max(0, (end - milliseconds(incident.opened_at)) / 1000));
}

function signs(incident) {
  if (incident.state === "closed") return state("✓", "closed", "good");
  return incident.severity === "critical" ? state("■", "open, critical", "bad") : state("▲", "open, warning", "warn");
}

/** Name them as `tapeline backfill show` takes them. */
function backfills(ids) {
  const more = ids.length > SHOWN ? ` and ${ids.length - SHOWN} more` : "";
  return `backfill${ids.length > 1 ? "s" : ""} ${ids.slice(0, SHOWN).map((id) => id.slice(0, 8)).join(", ")}${more}`;
}

export function showIncidents(document, table, nowMs) {
  const rank = (incident) => (incident.state === "open" ? 0 : 1);
  const moment = (incident) => BigInt(incident.opened_at);
  const ordered = [...document.incidents].sort((a, b) => rank(a) - rank(b) || (moment(a) < moment(b) ? 1 : -1));
  const lines = ordered.map((incident) => {
    const facts = [incident.subject];
    if (incident.flaps) facts.push(incident.flaps > 1 ? `came back ${incident.flaps} times` : "came back once");
    if (incident.request_ids.length) facts.push(backfills(incident.request_ids));
    return {
      key: incident.id,
      className: incident.state === "open" ? "fault" : "over",
      cells: [
        [
          piece(incident.summary, "", { title: incident.evidence.join("\n") }),
          piece(facts.join(" · "), "sub"),
          ...(incident.state === "open" ? incident.evidence.map((each) => piece(each, "sub")) : []),
        ],
        signs(incident),
        utcOf(incident.opened_at, nowMs),
        lasted(incident, nowMs),
      ],
    };
  });
  if (document.left_out) lines.push({ key: "", cells: [`${count(document.left_out)} more are over`, ...Array(3).fill("")] });
  fill(table, lines);
  return ordered;
}

/** Name an incident without its figures, which change all the time. */
function name(incident) {
  return `${incident.type.replaceAll("_", " ")}, ${incident.subject}`;
}

function sentence(what, incidents) {
  if (!incidents.length) return [];
  const more = incidents.length > SHOWN ? `; and ${incidents.length - SHOWN} more` : "";
  return [`${what}: ${incidents.slice(0, SHOWN).map(name).join("; ")}${more}.`];
}

/** Return in words which incidents opened, closed or changed their severity between two lists of open ones; "" if none. */
export function changes(before, open) {
  const had = new Map(before.map((incident) => [incident.id, incident.severity]));
  const has = new Set(open.map((incident) => incident.id));
  const [critical, warning] = ["critical", "warning"].map((severity) => open.filter((each) => each.severity === severity));
  const isNew = (incident) => !had.has(incident.id);
  const isOther = (incident) => had.has(incident.id) && had.get(incident.id) !== incident.severity;
  return [
    ...sentence("Critical incident opened", critical.filter(isNew)),
    ...sentence("Incident opened", warning.filter(isNew)),
    ...sentence("Incident is critical now", critical.filter(isOther)),
    ...sentence("Incident is a warning now", warning.filter(isOther)),
    ...sentence("Incident closed", before.filter((incident) => !has.has(incident.id))),
  ].join(" ");
}

export function openOf(incidents) {
  return incidents.filter((incident) => incident.state === "open");
}
