// Two sessions side by side: their facts, what went in and came out, and their steps lined up by the
// server, so that a step that only one of them has is alone on its row.

import { get, poll, reasonOf, unchanged } from "../api.js";
import { el, shape } from "../elements.js";
import { amount, cost, count, duration, moment, money, score } from "../values/format.js";
import { differences } from "./differences.js";

const EVERY = 2000;
const ROWS = 300; // of steps, before a button shows all

export function compareView({ main, setStatus, setCrumbs, navigate, listPath }, left, right) {
  let answer = null;
  let all = false;
  const body = el("div", { class: "compare-view" });
  main.append(el("h1", { class: "hidden" }, "Comparison of two sessions"), body);
  document.title = "Comparison · sessiontrace";
  setCrumbs(
    el("a", { href: listPath, "data-route": true }, "Sessions"),
    el("span", { class: "here" }, "Comparison"),
  );
  const live = poll(() => `/api/compare?${new URLSearchParams({ a: left, b: right })}`, {
    every: EVERY,
    seen(body) {
      setStatus("live");
      if (body === unchanged) return;
      answer = body;
      draw();
    },
    failed(error) {
      const status = error.status === 404 ? "live" : error.status ? "failing" : "lost";
      setStatus(status, reasonOf(error));
      if (!answer) explain(error);
    },
  });

  function explain(error) {
    const title =
      error.status === 404 ? "One of these sessions was not found" : "The sessions cannot be shown";
    body.replaceChildren(
      el("div", { class: "note" }, el("h2", {}, title), el("p", {}, reasonOf(error))),
    );
  }

  function draw() {
    const open = new Set([...body.querySelectorAll("tr.pair.open")].map((row) => row.dataset.at));
    const { pairs } = answer;
    const sides = [answer.left, answer.right];
    const visible = all ? pairs : pairs.slice(0, ROWS);
    const table = el(
      "table",
      { class: "pairs" },
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          sides.map(({ session }) => el("th", { scope: "col" }, sessionTitle(session))),
          el("th", { scope: "col", class: "num" }, "Difference"),
        ),
      ),
      el(
        "tbody",
        {},
        facts(...sides.map((side) => side.session)),
        wholeRow(sides.map((side) => side.record)),
        visible.map((pair, at) => pairRow(pair, at, open.has(String(at)))),
      ),
    );
    const more =
      visible.length < pairs.length
        ? el(
            "button",
            {
              type: "button",
              class: "more",
              onclick: () => {
                all = true;
                draw();
              },
            },
            `All ${count(pairs.length)} rows`,
          )
        : null;
    const omitted = answer.omitted[0] + answer.omitted[1];
    body.replaceChildren(
      ...[
        el(
          "div",
          { class: "compare-head" },
          el("p", { class: "soft summary", role: "status" }, summary(answer.counts)),
          el(
            "a",
            {
              class: "quiet",
              "data-route": true,
              href: `/compare/${encodeURIComponent(right)}/${encodeURIComponent(left)}`,
            },
            "Swap",
          ),
        ),
        table,
        more,
        omitted
          ? el("p", { class: "soft" }, `${amount(omitted, "later step")} are not compared.`)
          : null,
      ].filter(Boolean),
    );
  }

  // The inputs and outputs of the sessions themselves, open from the start: they are the answer.
  function wholeRow(records) {
    const parts = differences(records, ["inputs", "outputs"]);
    return parts ? el("tr", { class: "inside whole" }, el("td", { colspan: 3 }, parts)) : null;
  }

  function pairRow({ left: a, right: b, depth, moved }, at, open) {
    const opener = el(
      "button",
      {
        type: "button",
        class: "opener",
        "aria-expanded": "false",
        "aria-label": `Inputs and outputs of ${(a ?? b).name}`,
      },
      "▸",
    );
    const row = el(
      "tr",
      { class: `pair${!a || !b ? " alone" : ""}`, "data-at": at },
      cell(a, depth, opener),
      cell(b, depth, null, moved),
      el("td", { class: "num" }, difference(a, b)),
    );
    row.addEventListener("click", (event) => {
      if (event.target.closest("a") || String(getSelection())) return;
      if (row.classList.contains("open")) close(row);
      else expand(row, a, b);
    });
    if (open) queueMicrotask(() => expand(row, a, b));
    return row;
  }

  function setOpen(row, open) {
    row.classList.toggle("open", open);
    const opener = row.querySelector(".opener");
    opener.setAttribute("aria-expanded", String(open));
    opener.textContent = open ? "▾" : "▸";
  }

  function close(row) {
    setOpen(row, false);
    if (row.nextSibling?.matches?.("tr.inside")) row.nextSibling.remove();
  }

  async function expand(row, a, b) {
    setOpen(row, true);
    const inside = el("tr", { class: "inside" }, el("td", { colspan: 3 }, "Loading"));
    row.after(inside);
    try {
      const records = await Promise.all([a, b].map((step) => (step ? record(step) : null)));
      const parts =
        differences(records, ["inputs", "outputs", "config", "error"]) ??
        el("p", { class: "soft" }, "Neither has inputs or outputs.");
      inside.replaceChildren(el("td", { colspan: 3 }, parts));
    } catch (error) {
      inside.replaceChildren(
        el("td", { colspan: 3 }, el("p", { class: "failure" }, reasonOf(error))),
      );
    }
  }

  return {
    save: () => ({}),
    close: () => live.stop(),
    key(event) {
      if (event.key === "Escape") {
        event.preventDefault();
        navigate(listPath);
      }
    },
  };
}

const record = async (step) => (await get(`/api/events/${encodeURIComponent(step.event_id)}`)).body;

function sessionTitle(session) {
  const id = session.session_id;
  return [
    el(
      "a",
      { href: `/sessions/${encodeURIComponent(id)}`, "data-route": true },
      session.name ?? "unnamed session",
    ),
    " ",
    el("span", { class: "soft mono short-id" }, `…${id.slice(-6)}`),
  ];
}

/** What differs, in one sentence. @param {Record<string, number>} counts of the pairs */
function summary(counts) {
  const alone = counts.left + counts.right;
  const parts = [
    alone ? `${count(alone)} ${alone === 1 ? "step is" : "steps are"} in one session only` : null,
    counts.failed ? `${count(counts.failed)} failed in one of them` : null,
    counts.renamed ? `${amount(counts.renamed, "step")} under another name` : null,
    counts.moved ? `${amount(counts.moved, "step")} below another step` : null,
  ].filter(Boolean);
  return parts.length ? `${parts.join(", ")}.` : "The same steps in both sessions.";
}

function facts(a, b) {
  const price = a.unpriced || b.unpriced ? "" : signed(b.cost - a.cost, money);
  const lines = [
    ["Started", moment(a.start_time), moment(b.start_time), ""],
    ["Duration", duration(a.duration), duration(b.duration), change(a.duration, b.duration)],
    ["Steps", count(a.events), count(b.events), signed(b.events - a.events, count)],
    ["Errors", count(a.errors), count(b.errors), signed(b.errors - a.errors, count)],
    ["Tokens", count(a.tokens), count(b.tokens), signed(b.tokens - a.tokens, count)],
    ["Cost", cost(a) ?? "–", cost(b) ?? "–", price],
    ...[...new Set([...Object.keys(a.scores), ...Object.keys(b.scores)])]
      .sort()
      .map((name) => scores(name, a.scores[name], b.scores[name])),
  ];
  return lines.map(([name, left, right, difference]) =>
    el(
      "tr",
      { class: left === right ? "fact" : "fact differs" },
      [left, right].map((value) => el("td", {}, el("span", { class: "soft" }, `${name} `), value)),
      el("td", { class: "num" }, difference),
    ),
  );
}

function scores(name, left, right) {
  const text = (value) => (value === undefined ? "–" : score(value));
  const both = left !== undefined && right !== undefined;
  return [name, text(left), text(right), both ? signed(right - left, score) : ""];
}

function cell(step, depth, opener, moved = false) {
  if (!step) return el("td", { class: "absent" }, opener, opener ? " –" : "–");
  const failed = step.error !== null;
  return el(
    "td",
    { class: failed ? "failed" : null },
    el(
      "span",
      { class: "who", style: { "padding-left": `${Math.min(depth, 20) * 14}px` } },
      opener,
      shape(step.turn ? "turn" : step.type),
      el("span", { class: "name" }, step.name),
      failed ? el("span", { class: "mark bad", title: step.error }, "error") : null,
      moved ? el("span", { class: "mark" }, "moved") : null,
      el("span", { class: "soft" }, used(step)),
    ),
  );
}

const used = (step) =>
  [
    step.duration === null ? "running" : duration(step.duration),
    step.tokens ? amount(step.tokens, "token") : null,
    step.cost ? money(step.cost) : null,
  ]
    .filter(Boolean)
    .join(" · ");

function difference(a, b) {
  if (!a || !b) return a ? "only left" : "only right";
  const lines = [
    change(a.duration, b.duration),
    b.tokens === a.tokens ? "" : `${signed(b.tokens - a.tokens, count)} tokens`,
    b.cost === a.cost || a.unpriced || b.unpriced ? "" : signed(b.cost - a.cost, money),
  ].filter(Boolean);
  return lines.map((line) => el("span", { class: "delta" }, line));
}

const signed = (value, text) =>
  value === 0 ? "" : `${value > 0 ? "+" : "−"}${text(Math.abs(value))}`;

function change(a, b) {
  if (a === null || b === null || a === b) return "";
  return signed(b - a, duration);
}
