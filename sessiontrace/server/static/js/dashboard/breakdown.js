// The figures by model, name, user, source or tag: a table with a bar for the measure that it is
// ordered by. Each value opens the list of its sessions.

import { el, svg } from "../elements.js";
import { count, duration, money } from "../values/format.js";
import { change } from "./scale.js";
import { DIMENSIONS, durationFrom, listPath, termFor } from "./state.js";
import { changeOf } from "./tiles.js";

const at = (level) => (figures) => figures.latency?.[level] ?? null;

/**
 * @type {{name: string, label: string, of: (figures: any) => number | null,
 *   text: (value: number) => string}[]}
 */
const COLUMNS = [
  { name: "sessions", label: "Sessions", of: (figures) => figures.sessions, text: count },
  { name: "failed", label: "With errors", of: (figures) => figures.failed, text: count },
  { name: "steps", label: "Steps", of: (figures) => figures.steps, text: count },
  { name: "tokens", label: "Tokens", of: (figures) => figures.tokens, text: count },
  { name: "cost", label: "Cost", of: (figures) => figures.cost, text: money },
  { name: "p50", label: "p50", of: at(0), text: duration },
  { name: "p95", label: "p95", of: at(1), text: duration },
  { name: "p99", label: "p99", of: at(2), text: duration },
  {
    name: "first_chunk",
    label: "First token p95",
    of: (figures) => figures.first_chunk?.[1] ?? null,
    text: duration,
  },
];
const FIRST = 10; // rows, until a reader wants all that the server sent
const CHANGING = new Set(["cost", "p95"]);
const ORDERS = { failed: "errors", p50: "duration", p95: "duration", p99: "duration" };

/** @param {{changed: (changes: object) => void}} options */
export function breakdown({ changed }) {
  const tabs = el("div", { class: "tabs", role: "group", "aria-label": "Break down by" });
  const head = el("thead", {});
  const body = el("tbody", {});
  const note = el("p", { class: "soft" }, "Counting …");
  const all = el("button", { type: "button", class: "quiet", hidden: true });
  let unfolded = false;
  all.addEventListener("click", () => {
    unfolded = true;
    all.hidden = true;
    for (const hidden of body.children) /** @type {any} */ (hidden).hidden = false;
    /** @type {HTMLElement} */ (body.children[FIRST]?.querySelector("a"))?.focus();
  });
  const caption = el("caption", { class: "hidden" });
  const element = el(
    "section",
    { class: "breakdown", "aria-label": "Breakdown" },
    el("div", { class: "headline" }, el("h2", {}, "By"), tabs),
    el(
      "div",
      { class: "scrolls", tabindex: "0", role: "region", "aria-label": "Breakdown, as a table" },
      el("table", {}, caption, head, body),
    ),
    all,
    note,
  );
  for (const [name, label] of DIMENSIONS)
    tabs.append(
      el(
        "button",
        { type: "button", class: "toggle", "data-by": name, onclick: () => changed({ by: name }) },
        label,
      ),
    );

  function show(state) {
    for (const tab of tabs.children)
      tab.setAttribute("aria-pressed", String(/** @type {any} */ (tab).dataset.by === state.by));
  }

  function draw(state, answer) {
    const shownAs = DIMENSIONS.find(([name]) => name === answer.by)[1];
    const ofCalls = answer.by === "model";
    caption.textContent = `Figures by ${shownAs.toLowerCase()}`;
    head.replaceChildren(headRow(state, shownAs, ofCalls, changed));
    const rank = COLUMNS.find(({ name }) => name === state.rank) ?? COLUMNS[4];
    const most = Math.max(...answer.groups.map((group) => rank.of(group) ?? 0), 0);
    body.replaceChildren(
      ...answer.groups.map((group) =>
        row(state, answer.by, group, (rank.of(group) ?? 0) / (most || 1)),
      ),
    );
    const folded = unfolded ? [] : [...body.children].slice(FIRST);
    for (const hidden of folded) /** @type {any} */ (hidden).hidden = true;
    all.hidden = !folded.length;
    all.textContent = `Show all ${count(answer.groups.length)}`;
    note.hidden = answer.groups.length > 0 && !answer.omitted;
    note.textContent = answer.groups.length
      ? `${count(answer.omitted)} more are not shown; a filter narrows them down.`
      : "Nothing to break down in this period.";
  }

  return { element, show, draw };
}

function headRow(state, shownAs, ofCalls, changed) {
  return el(
    "tr",
    {},
    el("th", { scope: "col" }, shownAs),
    COLUMNS.map(({ name, label }) =>
      el(
        "th",
        {
          scope: "col",
          class: `num col-${name}`,
          "aria-sort": state.rank === name ? "descending" : null,
        },
        el(
          "button",
          { type: "button", class: "sort", onclick: () => changed({ rank: name }) },
          ofCalls && name === "steps" ? "Calls" : label,
          state.rank === name ? el("span", { "aria-hidden": "true" }, " ↓") : null,
        ),
      ),
    ),
  );
}

function row(state, by, group, share) {
  const term = termFor(by, group.value);
  const name = group.value ?? `without ${by}`;
  return el(
    "tr",
    {},
    el(
      "th",
      { scope: "row" },
      el("a", { href: listPath(state, { term }), "data-route": true, title: name }, name),
      svg(
        "svg",
        {
          class: "share",
          viewBox: "0 0 100 4",
          preserveAspectRatio: "none",
          "aria-hidden": "true",
        },
        svg("rect", { width: 100 * share, height: 4 }),
      ),
    ),
    COLUMNS.map(({ name: column, of, text }) => {
      const value = of(group);
      const cell = value === null ? "–" : text(value);
      return el(
        "td",
        { class: `num col-${column}` },
        value
          ? el(
              "a",
              { href: listPath(state, listOf(by, term, column, value)), "data-route": true },
              cell,
            )
          : cell,
        CHANGING.has(column) ? changeOf(change(value, of(group.previous)), "bad", "") : null,
      );
    }),
  );
}

/** What a cell opens: the sessions of the value, of which a latency selects those that took longer. */
function listOf(by, term, column, value) {
  const order =
    ORDERS[column] ?? (["cost", "tokens", "steps"].includes(column) ? column : "active");
  // The latency of a model is that of its calls; the list filters by that of sessions.
  const slow = order === "duration" && by !== "model" ? ` ${durationFrom(value)}` : "";
  return { term: `${term}${slow}`, order, errors: column === "failed" };
}
