// Consumer lag: each group, and under it each topic on which it is behind.

import { DASH, count, duration, known } from "./format.js";
import { fill, piece, state } from "./table.js";

const STATES = { OK: ["●", "good"], WARN: ["▲", "warn"], ERR: ["■", "bad"], STOP: ["■", "bad"], STALL: ["■", "bad"], REWIND: ["■", "bad"] };

function line(key, name, word, lag, members, className) {
  const [mark, tone] = STATES[word] || ["?", "calm"];
  const said = word === null ? DASH : state(mark, word, tone);
  return { key, className, cells: [name, said, count(lag.messages), duration(lag.seconds), members] };
}

export function showLag(document, table) {
  const lines = [];
  for (const group of document.groups) {
    const stuck = document.stuck_workers.filter((worker) => worker.group === group.group);
    const name = [piece(group.group), ...stuck.map((worker) => piece(`${worker.worker} is stuck: ${worker.remedy}`, "sub warn"))];
    lines.push(line(group.group, name, group.status, group, count(group.members), group.status === "OK" ? "" : "fault"));
    for (const topic of group.topics) {
      if (!topic.messages) continue;
      lines.push(line(`${group.group}/${topic.topic}`, [piece(topic.topic, "indent")], null, topic, "", "under"));
    }
  }
  fill(table, lines);
  return document.groups;
}

export function summary(groups) {
  if (!groups.length) return [piece("no groups")];
  const seconds = groups.map((group) => group.seconds).filter(known);
  const messages = groups.reduce((sum, group) => sum + group.messages, 0);
  return [piece(seconds.length ? duration(Math.max(...seconds)) : DASH), piece(` ${count(messages)} messages`, "sub")];
}
