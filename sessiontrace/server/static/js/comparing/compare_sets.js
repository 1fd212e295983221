// Two sets of sessions side by side, each what a query finds: how many, how slow, how expensive, how
// often wrong, and which steps make the difference. The address holds both queries.

import { get, reasonOf } from "../api.js";
import { el, shape } from "../elements.js";
import { amount, count, duration, money, score } from "../values/format.js";

/** @type {[string, string, (value: number) => string][]} */
const MEASURES = [
  ["duration", "Duration", duration],
  ["tokens", "Tokens", (value) => count(Math.round(value))],
  ["cost", "Cost", (value) => (value ? money(value) : "$0")],
  ["steps", "Steps", (value) => count(value)],
];

export function compareSetsView({ main, setStatus, setCrumbs, navigate, listPath, search }) {
  const asked = new URLSearchParams(search);
  const ended = new AbortController();
  const fields = ["a", "b"].map((side) => queryInput(side, asked.get(side) ?? ""));
  const fault = el("p", { class: "query-fault", role: "alert", hidden: true });
  const body = el("div", {});
  const form = el(
    "form",
    { class: "sets-form", "aria-label": "Sets to compare" },
    fields.map(({ label }) => label),
    el("button", { type: "submit", class: "compare" }, "Compare"),
    el("button", { type: "button", class: "quiet", onclick: swap }, "Swap"),
    PRESETS.map(([title, a, b]) =>
      el("button", { type: "button", class: "quiet", onclick: () => run(a, b) }, title),
    ),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run(...fields.map(({ input }) => input.value.trim()));
  });
  main.append(
    el(
      "div",
      { class: "compare-view" },
      el("h1", { class: "hidden" }, "Comparison of two sets of sessions"),
      form,
      fault,
      body,
    ),
  );
  document.title = "Comparison of sets · sessiontrace";
  setCrumbs(
    el("a", { href: listPath, "data-route": true }, "Sessions"),
    el("span", { class: "here" }, "Comparison of sets"),
  );
  if (asked.has("b")) load();
  else {
    setStatus("live");
    fields[1].input.focus();
  }

  function run(a, b) {
    navigate(setsPath(a, b));
  }

  function swap() {
    run(...fields.map(({ input }) => input.value.trim()).reverse());
  }

  async function load() {
    const queries = fields.map(({ input }) => input.value);
    const query = new URLSearchParams({
      a: queries[0],
      b: queries[1],
      tz: String(-new Date().getTimezoneOffset()),
    });
    try {
      const { body: answer } = await get(`/api/compare/sets?${query}`, ended.signal);
      setStatus("live");
      draw(answer, queries);
    } catch (error) {
      if (ended.signal.aborted) return;
      setStatus(error.details?.position === undefined && error.status ? "failing" : "live");
      fault.hidden = false;
      fault.textContent = reasonOf(error);
    }
  }

  function draw({ left, right, steps }, queries) {
    const sides = [left, right];
    body.replaceChildren(
      el("p", { class: "soft summary", role: "status" }, headline(left, right)),
      el(
        "div",
        { class: "wide", tabindex: "0", role: "region", "aria-label": "Totals" },
        el(
          "table",
          { class: "pairs sets" },
          head(["", ...queries.map(title), "Difference"]),
          el("tbody", {}, totals(left, right)),
        ),
      ),
      el("h2", { class: "sets-title" }, "Steps"),
      steps.length
        ? el(
            "div",
            { class: "wide", tabindex: "0", role: "region", "aria-label": "Steps" },
            el(
              "table",
              { class: "pairs sets" },
              head(["Step", ...queries.map(title), "Difference"]),
              el("tbody", {}, steps.map(stepRow)),
            ),
          )
        : el("p", { class: "soft" }, "Neither set has steps."),
      ...sides
        .filter((side) => side.has_more)
        .map((side) =>
          el("p", { class: "soft" }, `Only the latest ${count(side.sessions)} sessions are read.`),
        ),
    );
  }

  return {
    save: () => ({}),
    close: () => ended.abort(),
    key(event) {
      if (event.key === "Escape") {
        event.preventDefault();
        navigate(listPath);
      }
    },
  };
}

const PRESETS = [
  ["Yesterday and today", "since:yesterday before:today", "since:today"],
  ["Last week and this", "since:14d before:7d", "since:7d"],
];

/** The address of a comparison of what two queries find. */
export const setsPath = (a, b = null) =>
  `/compare/sets?${new URLSearchParams(b === null ? { a } : { a, b })}`;

function queryInput(side, value) {
  const names = { a: "First set", b: "Second set" };
  const input = /** @type {HTMLInputElement} */ (
    el("input", {
      type: "text",
      value,
      placeholder: "user:ada, tag:v2, since:7d; empty for all",
      spellcheck: "false",
      autocomplete: "off",
    })
  );
  return { input, label: el("label", {}, el("span", {}, names[side]), input) };
}

const title = (query) =>
  el(
    "a",
    { href: `/?${new URLSearchParams(query ? { q: query } : {})}`, "data-route": true },
    query || "all sessions",
  );

const head = (cells) =>
  el(
    "thead",
    {},
    el(
      "tr",
      {},
      cells.map((cell, at) =>
        el(
          at ? "th" : cell ? "th" : "td",
          { scope: at || cell ? "col" : null, class: at === cells.length - 1 ? "num" : null },
          cell,
        ),
      ),
    ),
  );

function headline(left, right) {
  const { median: before } = left.measures.duration;
  const { median: after } = right.measures.duration;
  const sizes = `${amount(left.sessions, "session")} beside ${amount(right.sessions, "session")}`;
  if (!left.sessions || !right.sessions || !before) return `${sizes}.`;
  const percent = Math.round((after / before - 1) * 100);
  const speed = percent > 0 ? "slower" : "faster";
  return `${sizes}; the median session is ${percent ? `${Math.abs(percent)} % ${speed}` : "as fast"}.`;
}

function totals(left, right) {
  const share = (side) => (side.sessions ? side.failed / side.sessions : 0);
  const percent = (value) => `${Math.round(value * 1000) / 10} %`;
  const rows = [
    row("Sessions", left.sessions, right.sessions, count),
    row("With errors", left.failed, right.failed, count),
    row("Share with errors", share(left), share(right), percent),
    row("Reviewed", left.reviewed, right.reviewed, count),
    ...MEASURES.flatMap(([name, title, text]) =>
      [
        ["total", "total"],
        ["median", "median"],
        ["p95", "p95"],
      ].map(([part, label]) =>
        row(`${title}, ${label}`, left.measures[name][part], right.measures[name][part], text),
      ),
    ),
    left.unpriced || right.unpriced
      ? row("Calls without a price", left.unpriced, right.unpriced, count)
      : null,
    ...[...new Set([...Object.keys(left.scores), ...Object.keys(right.scores)])]
      .sort()
      .map((name) =>
        row(`Score ${name}`, left.scores[name]?.mean, right.scores[name]?.mean, score),
      ),
  ];
  return rows.filter(Boolean);
}

function row(title, before, after, text) {
  const known = before !== undefined && after !== undefined;
  return el(
    "tr",
    { class: before === after ? "fact" : "fact differs" },
    el("th", { scope: "row" }, title),
    [before, after].map((value) => el("td", {}, value === undefined ? "–" : text(value))),
    el("td", { class: "num" }, known ? signed(after - before, text) : ""),
  );
}

function stepRow({ type, name, left, right }) {
  return el(
    "tr",
    { class: left && right ? "pair set" : "pair set alone" },
    el(
      "th",
      { scope: "row" },
      el("span", { class: "who" }, shape(type), el("span", { class: "name" }, name)),
    ),
    [left, right].map((side) => el("td", {}, side ? stepCell(side) : "–")),
    el(
      "td",
      { class: "num" },
      left && right
        ? [
            line(`${signed(right.median - left.median, duration) || "±0"} median`),
            line(`${signed(right.p95 - left.p95, duration) || "±0"} p95`),
          ]
        : left
          ? "only left"
          : "only right",
    ),
  );
}

const line = (text) => el("span", { class: "delta" }, text);

function stepCell(side) {
  return [
    line(`${duration(side.median)} median, ${duration(side.p95)} p95`),
    line(`${amount(side.steps, "step")}, ${score(side.per_session)} per session`),
    side.tokens
      ? line(`${amount(side.tokens, "token")}${side.cost ? `, ${money(side.cost)}` : ""}`)
      : null,
    side.failed ? el("span", { class: "delta bad" }, `${count(side.failed)} failed`) : null,
  ];
}

const signed = (value, text) =>
  Math.abs(value) < 1e-12 ? "" : `${value > 0 ? "+" : "−"}${text(Math.abs(value))}`;
