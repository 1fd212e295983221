// One line of the list of sessions, and the head above the lines.

import { el } from "./dom.js";
import { ago, count, duration, moment, money, score, scoreText } from "./format.js";

const COLUMNS = [
  ["", "c-state"], ["Name", "c-name"], ["User", "c-user"], ["Started", "c-time"], ["Duration", "c-took num"],
  ["Steps", "c-steps num"], ["Errors", "c-errors num"], ["Tokens", "c-tokens num"], ["Cost", "c-cost num"],
  ["Score", "c-score"], ["Status", "c-status"], ["", "c-pick"],
];

const none = () => el("span", { class: "none" }, "–");

export function headRow() {
  return el("tr", {}, COLUMNS.map(([title, name], at) => el("th", { scope: "col", class: name }, title || el("span", { class: "hidden" }, at ? "Compare" : "State"))));
}

export const dayRow = (name) => el("tr", { class: "day" }, el("th", { colspan: COLUMNS.length, scope: "rowgroup" }, name));

// `longest` is what a whole bar of duration stands for, `picker` the box that chooses the session.
export function sessionRow(one, longest, picker, go) {
  const failed = one.errors > 0 || one.error !== null;
  const state = one.status === "open" ? "open" : one.status === "ended" ? (one.error !== null ? "error" : "ended") : one.status;
  const href = `/sessions/${encodeURIComponent(one.session_id)}`;
  const share = Math.max(0.012, one.duration / longest);
  const cells = [
    el("span", { class: `dot s-${state}`, "aria-hidden": "true" }),
    [el("a", { href, "data-route": true, title: one.session_id }, one.name ?? "unnamed session"), one.source ? el("span", { class: "source" }, one.source) : null],
    one.user ?? none(),
    el("time", { datetime: new Date(one.start_time).toISOString(), title: moment(one.start_time), "data-at": one.start_time }, ago(one.start_time)),
    el("span", { class: "length" }, el("span", { class: "share", "aria-hidden": "true" }, el("i", { style: { width: `${share * 100}%` } })), el("span", {}, duration(one.duration))),
    count(one.events),
    failed ? el("span", { class: "bad" }, one.errors ? count(one.errors) : "1") : none(),
    one.tokens ? count(one.tokens) : none(),
    one.cost ? money(one.cost) : none(),
    scores(one.scores),
    el("span", { class: `status s-${state}` }, state === "error" ? "failed" : one.status),
    picker,
  ];
  return el("tr", { "data-id": one.session_id, class: failed ? "failed" : "", onclick: (event) => {
    if (event.target.closest("a, .c-pick") || String(getSelection())) return;
    go(href);
  } }, cells.map((cell, at) => el("td", { class: COLUMNS[at][1] }, cell)));
}

// The first score by name; the others are in its title.
function scores(given) {
  const all = Object.entries(given ?? {});
  if (!all.length) return none();
  const [name, value] = all[0];
  return el("span", { class: "scores", title: all.map(scoreText).join("\n") },
    el("b", {}, score(value)), ` ${name}`, all.length > 1 ? el("span", { class: "soft" }, ` +${all.length - 1}`) : null);
}
