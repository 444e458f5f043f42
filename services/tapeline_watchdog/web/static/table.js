// Tables that change in place, so that neither focus nor scrolling is lost. All values are set as text.

import { count } from "./format.js";

/** Return a piece of a cell: a text with a class, or with `tag`, `title`, `value` and `max` an element that has them. */
export function piece(text, className = "", more = {}) {
  return { text, className, ...more };
}

/** Return a sign and a word for a state; the sign is for the eye only, the word says the same. */
export function state(mark, word, tone, title) {
  return [piece(mark, "mark " + tone, { hidden: true }), piece(" " + word, tone, { title })];
}

/** Return the pieces of a number that is 0 where all is well. */
export function flagged(number) {
  return number ? [piece("▲ ", "mark warn", { hidden: true }), piece(count(number))] : [piece("0")];
}

/** Return the pieces of an exact price: what is beyond two decimals is set smaller. */
export function exactly([main, rest]) {
  return rest ? [piece(main), piece(rest, "rest")] : [piece(main)];
}

function build({ text, className, tag = "span", title, hidden, value, max, label }) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  if (title) made.title = title;
  if (hidden) made.setAttribute("aria-hidden", "true");
  if (label) made.setAttribute("aria-label", label);
  if (max !== undefined) made.max = max;
  if (value !== undefined) made.value = value;
  return made;
}

/** Make an element hold these pieces, unless it does already. */
export function show(element, pieces) {
  const wanted = typeof pieces === "string" ? [piece(pieces)] : pieces;
  const signature = JSON.stringify(wanted);
  if (element.shown === signature) return;
  element.shown = signature;
  if (wanted.length === 1 && !wanted[0].className && !wanted[0].tag && !wanted[0].title) {
    element.textContent = wanted[0].text;
  } else {
    element.replaceChildren(...wanted.map(build));
  }
}

/**
 * Make the table's body hold these lines: {key, className, cells: [text or pieces]}. The first cell heads its line,
 * or the one at `head`; cells have the classes of the columns' headings.
 */
export function fill(table, lines, head = 0) {
  const body = table.tBodies[0];
  const classes = [...table.tHead.rows[table.tHead.rows.length - 1].cells].map((cell) => cell.className);
  const known = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  let before = null;
  for (const line of lines) {
    let row = known.get(line.key);
    if (row === undefined) {
      row = document.createElement("tr");
      row.dataset.key = line.key;
      line.cells.forEach((_, at) => {
        const cell = document.createElement(at === head ? "th" : "td");
        if (at === head) cell.scope = "row";
        cell.className = classes[at];
        row.append(cell);
      });
    }
    known.delete(line.key);
    const className = line.className || "";
    if (row.className !== className) row.className = className;
    line.cells.forEach((cell, at) => show(row.cells[at], cell));
    const place = before === null ? body.firstElementChild : before.nextElementSibling;
    if (place !== row) body.insertBefore(row, place);
    before = row;
  }
  for (const row of known.values()) row.remove();
  table.classList.toggle("empty", before === null);
}
