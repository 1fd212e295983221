// What the search field offers in the place of a piece of the query: keys, then values of its key.

import { count } from "./format.js";
import { parts, quoted } from "./query_text.js";

const MOST = 8;
const TIMES = ["15min", "1h", "24h", "7d", "30d", "today", "yesterday"];

/**
 * What may stand in the place of a piece: keys, then values of its key.
 * @param {string} piece
 * @param {{keys: any[], values: Record<string, [string, number][]>}} known
 */
export function completions(piece, known) {
  const { sign, key, colon, value } = parts(piece);
  if (!colon) {
    if (piece && !key) return [];
    return keysFor(key.toLowerCase(), known)
      .slice(0, piece ? MOST : known.keys.length)
      .map((field) => ({ ...field, text: `${sign}${field.text}` }));
  }
  const first = key.split(".")[0];
  const field = known.keys.find((each) => each.name === first || each.aliases.includes(first));
  const name = field ? [field.name, ...key.split(".").slice(1)].join(".") : key.replaceAll('"', "");
  const typed = value.replaceAll('"', "").toLowerCase();
  /** @type {[string, number][]} */
  const values =
    field?.kind === "time" ? TIMES.map((each) => [each, 0]) : (known.values[name] ?? []);
  return values
    .filter(([each]) => each.toLowerCase().includes(typed) && each.toLowerCase() !== typed)
    .slice(0, MOST)
    .map(([each, number]) => ({
      label: each,
      hint: number ? count(number) : "",
      text: `${sign}${key}:${quoted(each)}`,
      done: true,
    }));
}

function keysFor(typed, known) {
  const [field, ...rest] = typed.split(".");
  if (rest.length) {
    return Object.keys(known.values)
      .filter((key) => key.startsWith(`${field}.`) && key.includes(rest.join(".")))
      .map((key) => ({ label: `${key}:`, hint: "", text: `${key}:`, done: false }));
  }
  const names = Object.keys(known.values).filter(
    (key) => field.length > 2 && key.startsWith("metadata.") && "metadata".startsWith(field),
  );
  const scores = (known.values.score ?? []).map(([name]) => `score.${name}`);
  return [
    ...known.keys
      .filter((each) => [each.name, ...each.aliases].some((name) => name.startsWith(field)))
      .map((each) => ({
        label: each.suffix === "must" ? `${each.name}.` : `${each.name}:`,
        hint: `${each.summary}: ${each.example}`,
        text: each.suffix === "must" ? `${each.name}.` : `${each.name}:`,
        done: false,
      })),
    ...[...names, ...(field && "score".startsWith(field) ? scores : [])].map((name) => ({
      label: `${name}:`,
      hint: "",
      text: `${name}:`,
      done: false,
    })),
  ];
}
