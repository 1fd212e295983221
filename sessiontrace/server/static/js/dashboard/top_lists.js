// The slowest, the most expensive and the most failing sessions of the period.

import { el } from "../elements.js";
import { amount, duration, money } from "../values/format.js";
import { sessionPath } from "../values/thread.js";
import { listPath } from "./state.js";

/** The lists: their order, what a line says, and whether they have sessions with errors only. */
export const TOPS = [
  {
    title: "Slowest",
    order: "duration",
    errors: false,
    text: (session) => duration(session.duration),
  },
  {
    title: "Most expensive",
    order: "cost",
    errors: false,
    text: (session) => money(session.cost),
  },
  {
    title: "Most failing",
    order: "errors",
    errors: true,
    text: (session) => (session.errors ? amount(session.errors, "failed step") : "failed itself"),
  },
];

export function topLists() {
  const lists = TOPS.map(() => el("ol", {}));
  const links = TOPS.map(() => el("a", { class: "quiet", "data-route": true }, "All"));
  const element = el(
    "div",
    { class: "tops" },
    TOPS.map(({ title }, at) => {
      links[at].setAttribute("aria-label", `All sessions, ${title.toLowerCase()} first`);
      return el(
        "section",
        { "aria-label": title },
        el("div", { class: "headline" }, el("h2", {}, title), links[at]),
        lists[at],
      );
    }),
  );

  function draw(at, state, answer) {
    const { order, text, errors } = TOPS[at];
    links[at].setAttribute("href", listPath(state, { order, errors }));
    lists[at].replaceChildren(
      ...answer.sessions.map((session) =>
        el(
          "li",
          {},
          el(
            "a",
            { href: sessionPath(session.session_id), "data-route": true },
            session.name ?? "unnamed",
            session.user ? el("span", { class: "soft" }, ` ${session.user}`) : null,
          ),
          el("b", {}, text(session)),
        ),
      ),
    );
    if (!answer.sessions.length)
      lists[at].replaceChildren(el("li", { class: "soft" }, "None in this period"));
  }

  return { element, draw };
}
