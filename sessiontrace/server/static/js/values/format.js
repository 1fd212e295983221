// Numbers and times for people. Durations in ms, moments in Unix ms, everything in local time.

export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms > 0 && ms < 0.9995) return `${Number((ms * 1000).toPrecision(3))} µs`;
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 9995) return `${(ms / 1000).toFixed(2)} s`;
  if (ms < 59950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${pad(seconds % 60)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 2880) return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min`;
  return `${Math.round(minutes / 1440)} days`;
}

const pad = (value) => String(value).padStart(2, "0");

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const dayOfYear = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "long",
  year: "numeric",
});
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

const minute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const minuteOfYear = new Intl.DateTimeFormat(undefined, {
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});
export const minuteOf = (ms) => minute.format(ms);

export const clockTime = (ms) => clock.format(ms);
export const moment = (ms) => full.format(ms);

export function dayName(ms, now = Date.now()) {
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  if (ms >= midnight) return "Today";
  if (ms >= midnight - 86_400_000) return "Yesterday";
  return (ms >= midnight - 300 * 86_400_000 ? day : dayOfYear).format(ms);
}

/** As `ago`, with the day where it is not today: for a list whose order is not by time. */
export function agoWithDay(ms, now = Date.now()) {
  if (ms >= new Date(now).setHours(0, 0, 0, 0)) return ago(ms, now);
  const year = new Date(ms).getFullYear();
  return (year === new Date(now).getFullYear() ? minuteOfYear : minute).format(ms);
}

export function ago(ms, now = Date.now()) {
  const seconds = Math.max(0, Math.round((now - ms) / 1000));
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return clock.format(ms);
}

const whole = new Intl.NumberFormat();
export const count = (value) => whole.format(value);

export const amount = (value, one, many = `${one}s`) =>
  `${count(value)} ${value === 1 ? one : many}`;

export function money(value) {
  if (!value) return "–";
  if (value < 0.01) return `$${value.toPrecision(2)}`;
  return value < 1000
    ? `$${value.toFixed(2)}`
    : `$${value.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}

/** "$0.42", "unpriced", "$0.42 + 2 unpriced"; null where no call used tokens. */
export function cost(summary) {
  const unpriced = Number(summary.unpriced ?? 0);
  if (!summary.cost && unpriced) return "unpriced";
  if (!summary.cost && !summary.tokens) return null;
  const text = summary.cost ? money(summary.cost) : "$0";
  return unpriced ? `${text} + ${count(unpriced)} unpriced` : text;
}

export function bytes(length) {
  if (length < 1000) return `${length} B`;
  if (length < 1e6) return `${(length / 1e3).toFixed(length < 1e4 ? 1 : 0)} kB`;
  return `${(length / 1e6).toFixed(1)} MB`;
}

// A score or the mean of several: at most three digits behind the point.
export const score = (value) => String(Math.round(value * 1000) / 1000);
export const scoreText = ([name, value]) => `${name} ${score(value)}`;
