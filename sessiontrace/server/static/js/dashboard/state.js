// What the dashboard shows, as the address has it: the filters and times of the list of sessions, and
// what the figures are broken down by. Pure: no element is made here.

import { readState, requestOf, writeState } from "../values/list_state.js";
import { termOf, withTerm } from "../values/query_text.js";

export const WEEK = "604800000"; // the time range where an address has none

/** What the figures are broken down by, with the word for it. */
export const DIMENSIONS = [
  ["model", "Model"],
  ["name", "Name"],
  ["user", "User"],
  ["source", "Source"],
  ["tag", "Tag"],
];

export const RANKS = new Set(
  "cost sessions failed errors tokens steps p50 p95 p99 first_chunk".split(" "),
);

/** @param {string} search the part of an address behind its path */
export function readDashboard(search) {
  const state = readState(search);
  const query = new URLSearchParams(search);
  const by = DIMENSIONS.some(([name]) => name === query.get("by")) ? query.get("by") : "model";
  const rank = RANKS.has(query.get("rank")) ? query.get("rank") : "cost";
  const unbounded = !state.range && state.from === null && state.to === null;
  return { ...filters(state), range: unbounded ? WEEK : state.range, by, rank };
}

/** The state of a list with the same filters, in its usual order. */
const filters = ({ q, errors, range, from, to }) => ({
  q,
  errors,
  range,
  from,
  to,
  order: "active",
  ascending: false,
  picked: [],
});

/** The part of an address behind its path. */
export function writeDashboard(state) {
  const query = new URLSearchParams(writeState(filters(state)));
  if (state.by !== "model") query.set("by", state.by);
  if (state.rank !== "cost") query.set("rank", state.rank);
  const text = query.toString();
  return text ? `?${text}` : "";
}

/** The parameters of a request for the figures. @param {number} now Unix ms */
export function requestFor(state, now, parameters = {}) {
  const query = requestOf(filters(state), now);
  query.set("tz", String(-new Date(now).getTimezoneOffset()));
  for (const [name, value] of Object.entries(parameters)) query.set(name, value);
  return query;
}

/**
 * The address of the list of sessions with the filters of the dashboard, and some of its own.
 * @param {any} state
 * @param {{term?: string, from?: number, to?: number, order?: string, errors?: boolean}} changes
 */
export function listPath(state, changes = {}) {
  const { term = "", from, to, order = "active", errors = false } = changes;
  const times = from === undefined ? {} : { range: "", from, to };
  const q = term ? withTerm(state.q, term) : state.q;
  const own = { ...filters(state), ...times, q, order, errors: errors || state.errors };
  return `/${writeState(own)}`;
}

/** The filter for one value of a dimension; null stands for sessions without any. */
export const termFor = (by, value) => (value === null ? `-${by}:*` : termOf(by, value));

/** The filter for what took at least so long. @param {number} ms */
export const durationFrom = (ms) => `duration:>=${Number(ms.toFixed(3))}ms`;
