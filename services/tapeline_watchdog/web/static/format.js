// Numbers, moments and durations as text. What is not known is a dash, never 0.

export const DASH = "–";
export const EXCHANGE_ZONE = "America/Chicago";

const FORGOTTEN_MS = 3600000; // after an expiry

const counts = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const zones = new Map();

function inZone(zone, options) {
  const key = zone + JSON.stringify(options);
  if (!zones.has(key)) zones.set(key, new Intl.DateTimeFormat("en-GB", { timeZone: zone, hourCycle: "h23", ...options }));
  return zones.get(key);
}

const SECONDS = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
const MINUTES = { hour: "2-digit", minute: "2-digit" };
const DAY = { day: "2-digit", month: "short" };

/** Return ns since the epoch, as decimal text, in ms; they pass what a number holds. */
export function milliseconds(ns) {
  return Number(BigInt(ns) / 1000000n);
}

/** Return whether what expired at `ns` is over for long enough to be forgotten. */
export function isForgotten(ns, nowMs) {
  return milliseconds(ns) < nowMs - FORGOTTEN_MS;
}

export function known(value) {
  return value !== null && value !== undefined;
}

export function count(value) {
  return known(value) ? counts.format(value) : DASH;
}

export function fixed(value, digits, sign = false) {
  if (!known(value)) return DASH;
  const form = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  const text = Math.abs(value).toLocaleString("en-US", form);
  return (value < 0 ? "−" : sign ? "+" : "") + text;
}

export function signed(value) {
  return known(value) ? (value < 0 ? "−" : "+") + counts.format(Math.abs(value)) : DASH;
}

export function dollars(value, digits = 2) {
  return known(value) ? (value < 0 ? "−" : "") + "$" + fixed(Math.abs(value), digits) : DASH;
}

export function share(value, digits = 0) {
  return known(value) ? fixed(value * 100, digits) + "%" : DASH;
}

/** Return an exact decimal in two texts: with thousands set apart and two decimals, and the decimals after those. */
export function price(value) {
  if (!known(value)) return [DASH, ""];
  const [, minus, whole, decimals = ""] = String(value).match(/^(-?)(\d+)(?:\.(\d+))?$/) || [];
  if (whole === undefined) return [String(value), ""];
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return [(minus && "−") + grouped + "." + decimals.slice(0, 2).padEnd(2, "0"), decimals.slice(2)];
}

export function duration(seconds) {
  if (!known(seconds)) return DASH;
  const size = Math.abs(seconds);
  if (size === 0) return "0 s";
  if (size < 1) return fixed(seconds * 1000, size < 0.01 ? 1 : 0) + " ms";
  if (size < 60) return fixed(seconds, Number.isInteger(seconds) ? 0 : 1) + " s";
  if (size < 7200) return fixed(seconds / 60, 0) + " min";
  if (size < 172800) return fixed(seconds / 3600, 0) + " h";
  return fixed(seconds / 86400, 0) + " days";
}

/** Return a time of day in UTC, with the day where that is another one than today. */
export function utc(ms, nowMs = ms) {
  const time = inZone("UTC", SECONDS).format(ms);
  return Math.floor(ms / 86400000) === Math.floor(nowMs / 86400000) ? time : inZone("UTC", DAY).format(ms) + " " + time;
}

export function utcOf(ns, nowMs) {
  return known(ns) ? utc(milliseconds(ns), nowMs) : DASH;
}

/** Return a time of day where the exchange is. */
export function exchange(ms) {
  return inZone(EXCHANGE_ZONE, SECONDS).format(ms);
}

/** Return the day and time of an expiry where the exchange is. */
export function expiryOf(ns) {
  const ms = milliseconds(ns);
  const day = inZone(EXCHANGE_ZONE, { weekday: "short", ...DAY }).format(ms);
  return day.replace(",", "") + " " + inZone(EXCHANGE_ZONE, MINUTES).format(ms);
}
