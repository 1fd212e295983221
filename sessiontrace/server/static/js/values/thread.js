// The thread of a session as pages of turns. Pure: no element is made here.

import { parts, pieces } from "./query_text.js";

/** The address of a session, of one of its views, and of a step or turn in it. */
export function sessionPath(id, view = "", step = "") {
  const query = view ? `?view=${view}` : "";
  return `/sessions/${encodeURIComponent(id)}${query}${step ? `#${encodeURIComponent(step)}` : ""}`;
}

/** What an address says behind its "#". */
export function fragmentOf(hash) {
  try {
    return decodeURIComponent(hash.slice(1));
  } catch {
    return hash.slice(1);
  }
}

export const userPath = (user) => `/users/${encodeURIComponent(user)}`;

/** The user that a query is about, where it names one; "" for none or several. */
export function userIn(query) {
  const users = pieces(query)
    .map((piece) => parts(piece.text))
    .filter(({ sign, key, colon, operator }) => key === "user" && colon && !sign && !operator)
    .map(({ value }) => value);
  const [user] = users;
  if (users.length !== 1) return "";
  if (/^"(?:[^"\\]|\\.)*"$/.test(user)) return user.slice(1, -1).replace(/\\(.)/g, "$1");
  return /[",*]/.test(user) ? "" : user;
}

/** Which view an address names; "" where the session decides. */
export function viewOf(search, hash) {
  const view = new URLSearchParams(search).get("view");
  if (view === "thread" || view === "tree") return view;
  return hash ? "tree" : "";
}

/**
 * The pages with one of them as it is now; pages behind it stay, unless it has become the last.
 * @param {{after: string | null, turns: any[], next: string | null}[]} pages
 * @param {string | null} after where the page begins
 * @param {{turns: any[], next: string | null}} answer
 */
export function withPage(pages, after, answer) {
  const at = pages.findIndex((page) => page.after === after);
  const page = { after, turns: answer.turns, next: answer.next };
  if (at < 0) return [...pages, page];
  const before = pages.slice(0, at);
  const behind = pages.slice(at + 1);
  // A page that ends elsewhere now has other pages behind it.
  return behind[0]?.after === answer.next ? [...before, page, ...behind] : [...before, page];
}

/** Each turn once, in order, with the day where it begins one. */
export function turnsOf(pages) {
  const turns = new Map();
  for (const page of pages) for (const turn of page.turns) turns.set(turn.turn_id, turn);
  let today = "";
  return [...turns.values()].map((turn, at) => {
    const day = new Date(turn.start_time).toDateString();
    const begins = day !== today;
    today = day;
    return { turn, number: at + 1, begins };
  });
}

/** The turn that an address names: by its own id, or by a step that it shows. */
export function turnNamed(turns, id) {
  return turns.find(
    (turn) =>
      turn.turn_id === id ||
      turn.lines.some((line) => line.step === id) ||
      turn.tools.some((tool) => tool.event_id === id),
  );
}

/**
 * The lines of a turn in groups: what was said before the session, and the instructions, are folded,
 * and the tools stand before the last answer.
 * @param {any} turn
 * @returns {{kind: string, lines: any[]}[]}
 */
export function groupsOf(turn) {
  const groups = [];
  for (const line of turn.lines) {
    const kind = line.earlier ? "earlier" : line.role === "system" ? "system" : "said";
    if (kind === "earlier" && groups.at(-1)?.kind === kind) groups.at(-1).lines.push(line);
    else groups.push({ kind, lines: [line] });
  }
  if (turn.omitted && !groups.some(({ kind }) => kind === "earlier"))
    groups.unshift({ kind: "earlier", lines: [] });
  if (!turn.tools.length) return groups;
  const last = groups.findLastIndex(({ kind, lines }) => kind === "said" && !isUser(lines[0]));
  const tools = { kind: "tools", lines: [] };
  return last < 0 ? [...groups, tools] : [...groups.slice(0, last), tools, ...groups.slice(last)];
}

export const isUser = (line) => line.role === "user" || line.role === "human";

/** How a role reads: "Ada" stays as it is, "user" becomes "User". */
export const roleName = (role) => role.charAt(0).toUpperCase() + role.slice(1);

/** The names of tools, each once, the commonest first, with how often. */
export function toolNames(tools) {
  const counts = new Map();
  for (const { name } of tools) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts]
    .sort((one, other) => other[1] - one[1])
    .map(([name, times]) => (times > 1 ? `${name} ×${times}` : name));
}
