// Scales of charts: round ticks from 0, and what a change is in words. Pure.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const TIME_STEPS = [
  ...[0.25, 0.5, 1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2, 3, 6, 12].map((hours) => hours * HOUR),
  DAY,
];
const MOST_STEPS = 4;

/** Ticks of a time in ms, as `ticks`: above 40 s, in steps of minutes, hours or days. */
export function timeTicks(most) {
  if (most <= 40_000) return ticks(most);
  const step = TIME_STEPS.find((own) => own * MOST_STEPS >= most);
  if (step === undefined) return ticks(most / DAY).map((days) => days * DAY);
  return Array.from({ length: Math.ceil(most / step) + 1 }, (_, at) => at * step);
}

/** At most five round numbers from 0 up to the first that is `most` or greater. */
export function ticks(most) {
  if (!(most > 0)) return [0, 1];
  const power = 10 ** Math.floor(Math.log10(most / MOST_STEPS));
  const step = [1, 2, 2.5, 5, 10]
    .map((factor) => factor * power)
    .find((own) => own * MOST_STEPS >= most);
  const count = Math.ceil(most / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, at) => Number((at * step).toPrecision(12)));
}

/**
 * How a value compares with the one before: {text, way}, or null where there is nothing to compare.
 * `way` is "up", "down" or "same".
 */
export function change(value, before) {
  if (value === null || value === undefined || before === null || before === undefined) return null;
  if (!before) return value ? { text: "none before", way: "up" } : null;
  const percent = ((value - before) / before) * 100;
  const rounded = Math.abs(percent) < 10 ? Number(percent.toFixed(1)) : Math.round(percent);
  if (!rounded) return { text: "unchanged", way: "same" };
  const many = Math.abs(rounded) >= 1000;
  const size = many ? `${Math.round(value / before)}×` : `${Math.abs(rounded)} %`;
  return { text: `${rounded > 0 ? "▲" : "▼"} ${size}`, way: rounded > 0 ? "up" : "down" };
}
