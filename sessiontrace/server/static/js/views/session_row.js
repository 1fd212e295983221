// One row of the list of sessions, and the head above the rows.

import { el } from "../elements.js";
import { ago, cost, count, duration, moment, score, scoreText } from "../values/format.js";

const none = () => el("span", { class: "none" }, "–");

const hasFailed = (session) => session.errors > 0 || session.error !== null;

function stateOf(session) {
  return session.status === "ended" && session.error !== null ? "error" : session.status;
}

/**
 * The columns, left to right. `cell` makes the content for a session; `context` holds `longest`, the
 * duration in ms that a full bar stands for, and `picker`, the box that selects the session.
 * @type {{title: string, label?: string, class: string, cell: (session: any, context: any) => any}[]}
 */
const COLUMNS = [
  {
    title: "",
    label: "State",
    class: "c-state",
    cell: (session) => el("span", { class: `dot s-${stateOf(session)}`, "aria-hidden": "true" }),
  },
  {
    title: "Name",
    class: "c-name",
    cell: (session) => [
      el(
        "a",
        { href: hrefOf(session), "data-route": true, title: session.session_id },
        session.name ?? "unnamed session",
      ),
      session.source ? el("span", { class: "source" }, session.source) : null,
      session.preview ? el("span", { class: "preview" }, session.preview) : null,
    ],
  },
  { title: "User", class: "c-user", cell: (session) => session.user ?? none() },
  {
    title: "Started",
    class: "c-time",
    cell: (session) => {
      const at = session.start_time;
      return el(
        "time",
        { datetime: new Date(at).toISOString(), title: moment(at), "data-at": at },
        ago(at),
      );
    },
  },
  {
    title: "Duration",
    class: "c-took num",
    cell: (session, { longest }) => {
      const share = Math.max(0.012, session.duration / longest);
      return el(
        "span",
        { class: "length" },
        el(
          "span",
          { class: "share", "aria-hidden": "true" },
          el("i", { style: { width: `${share * 100}%` } }),
        ),
        el("span", {}, duration(session.duration)),
      );
    },
  },
  { title: "Steps", class: "c-steps num", cell: (session) => count(session.events) },
  {
    title: "Errors",
    class: "c-errors num",
    cell: (session) =>
      hasFailed(session)
        ? el("span", { class: "bad" }, session.errors ? count(session.errors) : "1")
        : none(),
  },
  {
    title: "Tokens",
    class: "c-tokens num",
    cell: (session) => (session.tokens ? count(session.tokens) : none()),
  },
  {
    title: "Cost",
    class: "c-cost num",
    cell: (session) => cost(session) ?? none(),
  },
  { title: "Score", class: "c-score", cell: (session) => scoreCell(session.scores) },
  {
    title: "Status",
    class: "c-status",
    cell: (session) => {
      const state = stateOf(session);
      return el(
        "span",
        { class: `status s-${state}` },
        state === "error" ? "failed" : session.status,
      );
    },
  },
  { title: "", label: "Compare", class: "c-pick", cell: (_session, { picker }) => picker },
];

const hrefOf = (session) => `/sessions/${encodeURIComponent(session.session_id)}`;

export function headRow() {
  const heads = COLUMNS.map((column) =>
    el(
      "th",
      { scope: "col", class: column.class },
      column.title || el("span", { class: "hidden" }, column.label),
    ),
  );
  return el("tr", {}, heads);
}

export const dayRow = (name) =>
  el("tr", { class: "day" }, el("th", { colspan: COLUMNS.length, scope: "rowgroup" }, name));

export function sessionRow(session, longest, picker, navigate) {
  const onclick = (event) => {
    if (event.target.closest("a, .c-pick") || String(getSelection())) return;
    navigate(hrefOf(session));
  };
  const cells = COLUMNS.map((column) =>
    el("td", { class: column.class }, column.cell(session, { longest, picker })),
  );
  return el(
    "tr",
    { "data-id": session.session_id, class: hasFailed(session) ? "failed" : "", onclick },
    cells,
  );
}

// The first score by name; the others are in its title.
function scoreCell(scores) {
  const all = Object.entries(scores ?? {});
  if (!all.length) return none();
  const [name, value] = all[0];
  return el(
    "span",
    { class: "scores", title: all.map(scoreText).join("\n") },
    el("b", {}, score(value)),
    ` ${name}`,
    all.length > 1 ? el("span", { class: "soft" }, ` +${all.length - 1}`) : null,
  );
}
