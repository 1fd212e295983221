// What the list of sessions shows, as the address has it: filters, order, and the sessions that are
// picked for comparison. The address is the only place that holds it.

const TEXT_ORDERS = new Set(["name", "user", "source", "status"]);

/** The orders of a list, with the words for them. */
export const ORDERS = [
  ["active", "Last activity"],
  ["started", "Start"],
  ["name", "Name"],
  ["user", "User"],
  ["source", "Source"],
  ["status", "Status"],
  ["duration", "Duration"],
  ["steps", "Steps"],
  ["errors", "Errors"],
  ["tokens", "Tokens"],
  ["cost", "Cost"],
  ["score", "Score"],
];

/** Time ranges that end now, in ms. */
export const RANGES = [
  ["900000", "Last 15 minutes"],
  ["3600000", "Last hour"],
  ["86400000", "Last 24 hours"],
  ["604800000", "Last 7 days"],
  ["2592000000", "Last 30 days"],
];

/** Sessions that may be picked, so that they fit into an address. */
export const PICKED_MAX = 50;

const number = (text) => (/^\d{1,15}$/.test(text ?? "") ? Number(text) : null);

/** @param {string} search the part of an address behind its path */
export function readState(search) {
  const query = new URLSearchParams(search);
  const order = ORDERS.some(([name]) => name === query.get("sort")) ? query.get("sort") : "active";
  const range = RANGES.some(([value]) => value === query.get("last")) ? query.get("last") : "";
  return {
    q: query.get("q") ?? "",
    errors: query.get("errors") === "1",
    range,
    from: range ? null : number(query.get("from")),
    to: range ? null : number(query.get("to")),
    order,
    ascending: query.get("dir") ? query.get("dir") === "asc" : TEXT_ORDERS.has(order),
    picked: (query.get("pick") ?? "").split(",").filter(Boolean).slice(0, PICKED_MAX),
  };
}

/** The part of an address behind its path; empty for a list without filters in its usual order. */
export function writeState(state) {
  const query = new URLSearchParams();
  if (state.q) query.set("q", state.q);
  if (state.errors) query.set("errors", "1");
  if (state.range) query.set("last", state.range);
  if (state.from !== null) query.set("from", String(state.from));
  if (state.to !== null) query.set("to", String(state.to));
  if (state.order !== "active") query.set("sort", state.order);
  if (state.ascending !== TEXT_ORDERS.has(state.order))
    query.set("dir", state.ascending ? "asc" : "desc");
  if (state.picked.length) query.set("pick", state.picked.join(","));
  const text = query.toString();
  return text ? `?${text}` : "";
}

export const isFiltered = (state) =>
  Boolean(state.q || state.errors || state.range || state.from !== null || state.to !== null);

/** The state in another order: a text from A, all else from the greatest; the same again turns it. */
export function ordered(state, order) {
  const same = state.order === order;
  return { ...state, order, ascending: same ? !state.ascending : TEXT_ORDERS.has(order) };
}

/** The parameters of a request for the sessions. @param {number} now Unix ms */
export function requestOf(state, now, offsetMinutes = -new Date(now).getTimezoneOffset()) {
  const query = new URLSearchParams();
  if (state.q) {
    query.set("q", state.q);
    query.set("tz", String(offsetMinutes));
  }
  if (state.errors) query.set("errors", "1");
  // In steps of 10 s, so that a repeated request is the same request.
  if (state.range)
    query.set("since", String(Math.floor((now - Number(state.range)) / 10_000) * 10_000));
  if (state.from !== null) query.set("since", String(state.from));
  if (state.to !== null) query.set("until", String(state.to));
  if (state.order !== "active") query.set("sort", state.order);
  if (state.ascending) query.set("dir", "asc");
  return query;
}

/** What the list shows as one query, for a queue or a set; times are moments. @param {number} now */
export function queryText(state, now) {
  const from = state.range ? now - Number(state.range) : state.from;
  return [
    state.q,
    state.errors ? "error:*" : "", // of the session or of a step
    from === null ? "" : `since:${Math.floor(from)}`,
    state.to === null ? "" : `before:${Math.floor(state.to)}`,
  ]
    .filter(Boolean)
    .join(" ");
}
