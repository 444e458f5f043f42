// A chart of two minutes: the mid as a line, and below it pressure as bars from the middle. Geometry only, no styles.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 240;
const LINE_HEIGHT = 46;
const BARS_TOP = 52;
const BARS_HEIGHT = 34;
const HEIGHT = BARS_TOP + BARS_HEIGHT;
const WINDOWS = 120;

function path(className) {
  const made = document.createElementNS(SVG, "path");
  made.setAttribute("class", className);
  return made;
}

export function makeChart() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  const parts = { axis: path("axis"), invalid: path("invalid"), buy: path("buy"), sell: path("sell"), mid: path("mid") };
  const middle = BARS_TOP + BARS_HEIGHT / 2;
  parts.axis.setAttribute("d", `M0 ${middle}H${WIDTH}`);
  svg.append(...Object.values(parts));
  return { svg, parts };
}

/** Draw rows of one-second windows, oldest first; what has no mid or is not valid leaves a hole in the line. */
export function draw({ svg, parts }, rows, label) {
  const step = WIDTH / WINDOWS;
  const last = rows.length ? Number(BigInt(rows[rows.length - 1].window_start) / 1000000n) : 0;
  const points = rows.map((row) => ({
    x: WIDTH - ((last - Number(BigInt(row.window_start) / 1000000n)) / 1000 + 1) * step,
    mid: row.mid === null ? null : Number(row.mid),
    queue: row.queue_imbalance,
    isValid: row.is_valid,
  })).filter((point) => point.x >= -step);
  const mids = points.map((point) => point.mid).filter((mid) => mid !== null);
  const low = Math.min(...mids), high = Math.max(...mids);
  const y = (mid) => (high > low ? 3 + (1 - (mid - low) / (high - low)) * (LINE_HEIGHT - 6) : LINE_HEIGHT / 2);
  let line = "", buy = "", sell = "", invalid = "", pen = "M", previousX = -Infinity;
  const middle = BARS_TOP + BARS_HEIGHT / 2;
  for (const point of points) {
    const x = point.x.toFixed(1);
    if (point.mid === null) pen = "M";
    else {
      if (point.x - previousX > 1.5 * step) pen = "M";
      line += `${pen}${(point.x + step / 2).toFixed(1)} ${y(point.mid).toFixed(1)}`;
      pen = "L";
    }
    previousX = point.x;
    if (point.queue) {
      const height = ((-point.queue * BARS_HEIGHT) / 2).toFixed(1);
      const bar = `M${x} ${middle}h${(step * 0.8).toFixed(2)}v${height}h${(-step * 0.8).toFixed(2)}z`;
      if (point.queue > 0) buy += bar; else sell += bar;
    }
    if (!point.isValid) invalid += `M${x} ${HEIGHT - 1}h${step.toFixed(2)}`;
  }
  for (const [name, d] of Object.entries({ mid: line, buy, sell, invalid })) parts[name].setAttribute("d", d);
  svg.setAttribute("aria-label", label);
}
