// Judgements of one session or step as the panel shows them. Pure: no element is made here.

/**
 * @typedef {{id: string, event_id: string, kind: string, name: string, value: any,
 *   comment: string | null, author: string | null, at: number, source: string,
 *   key: string | null}} Judgement
 * @typedef {{name: string, current: Judgement, history: Judgement[]}} Group the last one counts;
 *   `history` are those before it, the latest first
 */

/**
 * The judgements of one event by kind, each kind by name.
 * @param {Judgement[]} judgements in order of time
 * @param {string} eventId
 * @returns {{score: Group[], label: Group[], comment: Group[], review: Group[]}}
 */
export function grouped(judgements, eventId) {
  /** @type {any} */
  const kinds = { score: new Map(), label: new Map(), comment: new Map(), review: new Map() };
  for (const judgement of judgements) {
    if (judgement.event_id !== eventId || !kinds[judgement.kind]) continue;
    const group = kinds[judgement.kind];
    group.set(judgement.name, [...(group.get(judgement.name) ?? []), judgement]);
  }
  const list = (kind) =>
    [...kinds[kind]].map(([name, all]) => ({
      name,
      current: all.at(-1),
      history: all.slice(0, -1).reverse(),
    }));
  return {
    score: list("score"),
    label: list("label"),
    comment: list("comment"),
    review: list("review"),
  };
}

/** Whether a judgement counts: one without a value takes those before it back. */
export const counts = ({ current }) => current.value !== null && current.value !== undefined;

/** A value for people. */
export function valueText(value) {
  if (value === null || value === undefined) return "removed";
  if (typeof value === "boolean") return value ? "true" : "false";
  return typeof value === "number" ? String(Math.round(value * 1000) / 1000) : value;
}

/** A typed text as a score: a number where it is one. */
export function typedValue(text) {
  const trimmed = text.trim();
  return trimmed !== "" && Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed;
}

/** Who judged, with the API key where there was one. */
export function authorText({ author, key, source }) {
  if (author && key && key !== author) return `${author} (key ${key})`;
  if (author) return author;
  return { recorded: "recorded by the program", update: "sent by a program" }[source] ?? "no name";
}
