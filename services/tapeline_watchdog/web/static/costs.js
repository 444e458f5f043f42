// Costs: by line, against the budget, and what would save some.

import { dollars, known, share } from "./format.js";
import { fill, piece, show } from "./table.js";

export function showCosts(document, { table, budget, meter, advice }) {
  fill(table, document.lines.map((line) => ({
    key: `${line.source}/${line.line}/${line.notional}`,
    cells: [
      [piece(line.line), piece(line.source + (line.notional ? " · included in the plan, not billed" : ""), "sub")],
      dollars(line.today_usd),
      dollars(line.month_usd),
      dollars(line.projected_usd),
    ],
  })));
  const said = [piece(`${document.month}: ${dollars(document.total_usd)} so far, ${dollars(document.projected_usd)} projected`)];
  if (known(document.budget_usd)) {
    const mark = document.budget_used >= 1 ? "■ " : document.budget_used >= 0.8 ? "▲ " : "";
    const tone = document.budget_used >= 1 ? "bad" : document.budget_used >= 0.8 ? "warn" : "";
    said.push(piece(`; ${mark}${share(document.budget_used)} of a budget of ${dollars(document.budget_usd)}`, tone));
  } else {
    said.push(piece("; no budget is set"));
  }
  const cache = document.cache;
  if (cache && known(cache.hit_ratio)) {
    said.push(piece(`. The cache answered ${share(cache.hit_ratio)} of ${cache.hits + cache.misses} fetches and saved ${dollars(cache.saved_usd)}.`));
  }
  show(budget, said);
  meter.hidden = !known(document.budget_used);
  if (known(document.budget_used)) meter.value = Math.min(1, document.budget_used);
  const lines = [
    ...document.warnings.map((each) => [
      piece("▲ ", "mark warn", { hidden: true }),
      piece(`${each.scope}, ${each.basis}: ${dollars(each.amount_usd)} is above ${each.level_percent}% of ${dollars(each.budget_usd)}`, "warn"),
    ]),
    ...document.advice.map((each) => [piece(each.what, "what"), piece(` ${each.why}`), piece(` saves ${dollars(each.saves_usd)}`, "saves")]),
    ...document.missing.map((each) => [piece(each, "dim")]),
  ];
  while (advice.children.length > lines.length) advice.lastElementChild.remove();
  lines.forEach((line, at) => show(advice.children[at] || advice.appendChild(window.document.createElement("li")), line));
}

export function summary(document) {
  const of = known(document.budget_usd) ? ` of ${dollars(document.budget_usd, 0)}` : "";
  const mark = document.warnings.length ? [piece("▲ ", "mark warn", { hidden: true })] : [];
  return [...mark, piece(dollars(document.total_usd)), ...(of ? [piece(of, "sub")] : [])];
}
