// Scales of charts: round ticks from 0, and what a change is in words. Pure.

/** At most five round numbers from 0 up to the first that is `most` or greater. */
export function ticks(most) {
  if (!(most > 0)) return [0, 1];
  const power = 10 ** Math.floor(Math.log10(most / 4));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((own) => own * 4 >= most);
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
