// The figures of the whole period, each beside that of the period before.

import { el } from "../elements.js";
import { count, duration, money } from "../values/format.js";
import { change } from "./scale.js";
import { durationFrom, listPath } from "./state.js";

const at = (level) => (figures) => figures.latency?.[level] ?? null;

/**
 * What is shown, in this order. `of`: the value of some figures; `opens`: of which list;
 * `greater`: "bad" where a greater value is worse.
 * @type {{name: string, of: (figures: any) => number | null, text: (value: number) => string,
 *   opens: (value: number | null) => object, greater?: string}[]}
 */
const TILES = [
  { name: "Sessions", of: (figures) => figures.sessions, text: count, opens: () => ({}) },
  {
    name: "With errors",
    of: (figures) => figures.failed,
    text: count,
    opens: () => ({ errors: true }),
    greater: "bad",
  },
  {
    name: "Failed steps",
    of: (figures) => figures.errors,
    text: count,
    opens: () => ({ order: "errors", errors: true }),
    greater: "bad",
  },
  { name: "Tokens", of: (figures) => figures.tokens, text: count, opens: by("tokens") },
  { name: "Cost", of: (figures) => figures.cost, text: money, opens: by("cost"), greater: "bad" },
  { name: "Steps", of: (figures) => figures.steps, text: count, opens: by("steps") },
  { name: "Latency p50", of: at(0), text: duration, opens: longest, greater: "bad" },
  { name: "Latency p95", of: at(1), text: duration, opens: longest, greater: "bad" },
  { name: "Latency p99", of: at(2), text: duration, opens: longest, greater: "bad" },
  {
    name: "First token p95",
    of: (figures) => figures.first_chunk?.[1] ?? null,
    text: duration,
    opens: by("duration"),
    greater: "bad",
  },
];

function by(order) {
  return () => ({ order });
}

function longest(value) {
  return { term: value === null ? "" : durationFrom(value), order: "duration" };
}

export function tiles() {
  const element = el("ul", { class: "tiles", "aria-label": "In this period" });

  function draw(state, answer, before) {
    element.replaceChildren(
      ...TILES.map(({ name, of, text, opens, greater }) => {
        const [value, old] = [of(answer.total), of(answer.previous)];
        return el(
          "li",
          {},
          el(
            "a",
            { class: "tile", href: listPath(state, opens(value)), "data-route": true },
            el("span", { class: "soft" }, name),
            el("b", {}, value === null ? "–" : text(value)),
            changeOf(change(value, old), greater, `${old === null ? "" : text(old)} ${before}`),
          ),
        );
      }),
    );
    if (answer.total.unpriced)
      element.children[TILES.findIndex(({ name }) => name === "Cost")]
        .querySelector("b")
        .append(el("small", {}, ` + ${count(answer.total.unpriced)} unpriced`));
  }

  return { element, draw };
}

/** A change, coloured where a greater value is worse. */
export function changeOf(compared, greater, before) {
  if (!compared) return el("span", { class: "change" }, "–");
  const worse = greater === "bad" && compared.way !== "same";
  const mark = worse ? (compared.way === "up" ? " worse" : " better") : "";
  const hidden = { up: "more than", down: "less than", same: "as" }[compared.way];
  return el(
    "span",
    { class: `change${mark}`, title: before },
    compared.text,
    el("span", { class: "hidden" }, ` (${hidden} before: ${before})`),
  );
}
