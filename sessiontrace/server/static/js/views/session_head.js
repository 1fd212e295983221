// The head of a session: its name, its state, the switch between its views, and its facts.

import { copyButton, el } from "../elements.js";
import { queueOf, withQueue } from "../judging/queue.js";
import { cost, count, duration, moment, scoreText } from "../values/format.js";
import { termOf } from "../values/query_text.js";
import { sessionPath, userPath } from "../values/thread.js";
import { deleteButton } from "./delete_button.js";

const VIEWS = [
  ["thread", "Thread"],
  ["tree", "Steps"],
];

/** A value that leads to the sessions that have it. */
const filterLink = (key, value) =>
  el(
    "a",
    {
      href: `/?${new URLSearchParams({ q: termOf(key, value) })}`,
      "data-route": true,
      class: "value",
      title: `Sessions with ${termOf(key, value)}`,
    },
    value,
  );

/** The user, whose conversations are one thread. */
const userLink = (user) =>
  el(
    "a",
    {
      href: userPath(user),
      "data-route": true,
      class: "value",
      title: `All that ${user} and the application said`,
    },
    user,
  );

/** Draw the head into an element. @param {any} head @param {any} session @param {any} record @param {{view: string, listPath: string}} options */
export function sessionHead(head, session, record, { view, listPath }) {
  const failed = session.error !== null;
  const status = failed && session.status === "ended" ? "error" : session.status;
  const facts = [
    ["User", session.user ? userLink(session.user) : null],
    ["Source", session.source],
    ["Started", moment(session.start_time)],
    ["Duration", duration(session.duration)],
    ["Steps", count(session.events)],
    ["Errors", session.errors ? el("span", { class: "bad" }, count(session.errors)) : null],
    ["Tokens", session.tokens ? count(session.tokens) : null],
    ["Cost", cost(session)],
    ["Score", Object.entries(session.scores).map(scoreText).join(", ")],
    [
      "Tags",
      Array.isArray(record.metadata?.tags)
        ? record.metadata.tags
            .filter((tag) => typeof tag === "string")
            .flatMap((tag, at) => [at ? ", " : "", filterLink("tag", tag)])
        : null,
    ],
  ].filter(
    ([, value]) => value !== null && value !== undefined && value !== "" && value.length !== 0,
  );
  const mark = JSON.stringify([session, record.metadata?.tags, view]);
  if (head.dataset.mark === mark) return; // a link in it may have the focus
  head.dataset.mark = mark;
  head.replaceChildren(
    ...[
      el(
        "div",
        { class: "title" },
        el("h1", {}, session.name ?? "unnamed session"),
        el("span", { class: `status s-${status}` }, status === "error" ? "failed" : session.status),
        el("span", { class: "grow" }),
        viewSwitch(session.session_id, view),
        copyButton("Copy id", () => session.session_id),
        deleteButton(session, listPath),
      ),
      el(
        "dl",
        { class: "facts" },
        facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))),
      ),
      failed ? el("p", { class: "failure" }, session.error) : null,
      session.status === "abandoned"
        ? el(
            "p",
            { class: "warning" },
            "The program ended before this session did. Steps that had finished are shown; steps that were running are not.",
          )
        : null,
    ].filter(Boolean),
  );
}

function viewSwitch(id, view) {
  return el(
    "nav",
    { class: "view-switch", "aria-label": "View" },
    VIEWS.map(([name, title]) =>
      el(
        "a",
        {
          href: withQueue(sessionPath(id, name), queueOf(location.search)),
          "data-route": true,
          "aria-current": name === view ? "page" : null,
          title: name === view ? null : `${title} (t)`,
        },
        title,
      ),
    ),
  );
}
