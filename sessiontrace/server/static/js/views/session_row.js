// One row of the list of sessions, and the head above the rows.

import { el } from "../elements.js";
import {
  ago,
  agoWithDay,
  cost,
  count,
  duration,
  moment,
  score,
  scoreText,
} from "../values/format.js";
import { termOf } from "../values/query_text.js";

const none = () => el("span", { class: "none" }, "–");

const hasFailed = (session) => session.errors > 0 || session.error !== null;

const stateOf = (session) => (session.outcome === "failed" ? "error" : session.outcome);

export const timeText = (at, dated) => (dated ? agoWithDay(at) : ago(at));

/** A value that filters the list by itself when it is clicked. */
function filtering(key, value, { filter }, attributes = {}, text = value) {
  const term = termOf(key, value);
  const onclick = () => filter(term);
  return el(
    "button",
    { type: "button", class: "value", title: `Only ${term}`, onclick, ...attributes },
    text,
  );
}

/**
 * The columns, left to right. `cell` makes the content for a session; `order` is the order by this
 * column. `context` holds `longest`, the duration in ms that a full bar stands for, `dated`, whether
 * no row above has the day, `picker`, the box that selects the session, and `filter`, which adds a
 * term to the query.
 * @type {{title: string, label?: string, class: string, order?: string, cell: (session: any, context: any) => any}[]}
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
    order: "name",
    cell: (session, context) => [
      el(
        "a",
        { href: hrefOf(session), "data-route": true, title: session.session_id },
        session.name ?? "unnamed session",
      ),
      session.source
        ? filtering("source", session.source, context, { class: "value source" })
        : null,
      ...(session.labels ?? []).map((label) =>
        filtering("label", label, context, { class: "value label" }),
      ),
      session.reviewed === null || session.reviewed === undefined
        ? null
        : el("span", { class: "reviewed", title: reviewedBy(session.reviewed) }, "✓ reviewed"),
      session.preview ? el("span", { class: "preview" }, session.preview) : null,
    ],
  },
  {
    title: "User",
    class: "c-user",
    order: "user",
    cell: (session, context) =>
      session.user === null ? none() : filtering("user", session.user, context),
  },
  {
    title: "Active",
    class: "c-time",
    order: "active",
    cell: (session, { dated }) => {
      const at = session.last_active;
      const title = `Started ${moment(session.start_time)}\nLast active ${moment(at)}`;
      return el(
        "time",
        { datetime: new Date(at).toISOString(), title, "data-at": at, "data-dated": dated },
        timeText(at, dated),
      );
    },
  },
  {
    title: "Duration",
    class: "c-took num",
    order: "duration",
    cell: (session, { longest }) => {
      const share = Math.min(1, Math.max(0.012, session.duration / longest));
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
  {
    title: "Steps",
    class: "c-steps num",
    order: "steps",
    cell: (session) => [
      count(session.events),
      el("span", { class: "unit" }, session.events === 1 ? " step" : " steps"),
    ],
  },
  {
    title: "Errors",
    class: "c-errors num",
    order: "errors",
    cell: (session) =>
      hasFailed(session)
        ? el("span", { class: "bad" }, session.errors ? count(session.errors) : "1")
        : none(),
  },
  {
    title: "Tokens",
    class: "c-tokens num",
    order: "tokens",
    cell: (session) =>
      session.tokens ? [count(session.tokens), el("span", { class: "unit" }, " tokens")] : none(),
  },
  {
    title: "Cost",
    class: "c-cost num",
    order: "cost",
    cell: (session) => cost(session) ?? none(),
  },
  {
    title: "Score",
    class: "c-score",
    order: "score",
    cell: (session, context) => scoreCell(session.scores, context),
  },
  {
    title: "Status",
    class: "c-status",
    order: "status",
    cell: (session, context) =>
      filtering("status", session.outcome, context, {
        class: `value status s-${stateOf(session)}`,
      }),
  },
  { title: "", label: "Compare", class: "c-pick", cell: (_session, { picker }) => picker },
];

const reviewedBy = (name) => (name ? `Reviewed by ${name}` : "Reviewed");

const hrefOf = (session) => `/sessions/${encodeURIComponent(session.session_id)}`;

/** @param {{order: string, ascending: boolean}} state @param {(order: string) => void} sort */
export function headRow(state, sort) {
  const heads = COLUMNS.map((column) => {
    const active = column.order === state.order;
    const content = column.order
      ? el(
          "button",
          { type: "button", class: "sort", onclick: () => sort(column.order) },
          column.title,
          el("span", { class: "arrow", "aria-hidden": "true" }, arrow(active, state.ascending)),
        )
      : column.title || el("span", { class: "hidden" }, column.label);
    const direction = active ? (state.ascending ? "ascending" : "descending") : null;
    return el("th", { scope: "col", class: column.class, "aria-sort": direction }, content);
  });
  return el("tr", {}, heads);
}

const arrow = (active, ascending) => (active ? (ascending ? "↑" : "↓") : "");

export const dayRow = (name) =>
  el("tr", { class: "day" }, el("th", { colspan: COLUMNS.length, scope: "rowgroup" }, name));

export function sessionRow(session, context, navigate) {
  const onclick = (event) => {
    if (event.target.closest("a, button, .c-pick") || String(getSelection())) return;
    navigate(hrefOf(session));
  };
  const cells = COLUMNS.map((column) =>
    el("td", { class: column.class }, column.cell(session, context)),
  );
  return el(
    "tr",
    { "data-id": session.session_id, class: hasFailed(session) ? "failed" : "", onclick },
    cells,
  );
}

// The first score by name; the others are in its title.
function scoreCell(scores, context) {
  const all = Object.entries(scores ?? {});
  if (!all.length) return none();
  const [name, value] = all[0];
  const { filter } = context;
  return el(
    "button",
    {
      type: "button",
      class: "value scores",
      title: all.map(scoreText).join("\n"),
      onclick: () => filter(termOf(`score.${name}`, "*").replace('"*"', "*")),
    },
    el("b", {}, score(value)),
    ` ${name}`,
    all.length > 1 ? el("span", { class: "soft" }, ` +${all.length - 1}`) : null,
  );
}
