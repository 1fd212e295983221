// Two sessions side by side: their facts, and their steps lined up, so that a step that only one of
// them has is alone on its row.

import { get, poll, reasonOf, unchanged } from "../api.js";
import { conversation } from "../chat/conversation.js";
import { el, shape } from "../elements.js";
import { json } from "../json_tree.js";
import { align } from "../values/alignment.js";
import { splitMessages } from "../values/chat_messages.js";
import { cost, count, duration, moment, score } from "../values/format.js";
import { grow, rows } from "../values/tree.js";

const EVERY = 2000;
const STEPS_MAX = 1500; // per session: the table of lengths is the product of both
const PARTS = [
  ["inputs", "Inputs"],
  ["outputs", "Outputs"],
  ["config", "Config"],
  ["error", "Error"],
];

export function compareView({ main, setStatus, setCrumbs, navigate }, left, right) {
  const ids = [left, right];
  const answers = [null, null];
  const body = el("div", { class: "compare-view" });
  main.append(el("h1", { class: "hidden" }, "Comparison of two sessions"), body);
  document.title = "Comparison · sessiontrace";
  setCrumbs(
    el("a", { href: "/", "data-route": true }, "Sessions"),
    el("span", { class: "here" }, "Comparison"),
  );
  const lives = ids.map((id, at) =>
    poll(() => `/api/sessions/${encodeURIComponent(id)}`, {
      every: EVERY,
      seen(answer) {
        setStatus("live");
        if (answer === unchanged) return;
        answers[at] = answer;
        if (answers[0] && answers[1]) draw();
      },
      failed(error) {
        setStatus(
          error.status && error.status !== 404 ? "failing" : error.status ? "live" : "lost",
          error.message,
        );
        if (!answers[at])
          body.replaceChildren(
            el(
              "div",
              { class: "note" },
              el(
                "h2",
                {},
                error.status === 404
                  ? "One of these sessions was not found"
                  : "The sessions cannot be shown",
              ),
              el("p", {}, reasonOf(error)),
            ),
          );
      },
    }),
  );

  function draw() {
    const open = new Set([...body.querySelectorAll("tr.pair.open")].map((row) => row.dataset.at));
    const pairs = align(steps(answers[0]), steps(answers[1]));
    const table = el(
      "table",
      { class: "pairs" },
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          answers.map((answer) =>
            el(
              "th",
              { scope: "col" },
              el(
                "a",
                {
                  href: `/sessions/${encodeURIComponent(answer.session.session_id)}`,
                  "data-route": true,
                },
                answer.session.name ?? "unnamed session",
              ),
            ),
          ),
          el("th", { scope: "col", class: "num" }, "Difference"),
        ),
      ),
      el(
        "tbody",
        {},
        facts(),
        pairs.map((pair, at) => pairRow(pair, at, open.has(String(at)))),
      ),
    );
    const cut = answers.some((answer) => answer.events.length > STEPS_MAX)
      ? el(
          "p",
          { class: "soft" },
          `Only the first ${count(STEPS_MAX)} steps of each session are compared.`,
        )
      : null;
    body.replaceChildren(
      ...[el("p", { class: "soft summary", role: "status" }, summary(pairs)), table, cut].filter(
        Boolean,
      ),
    );
  }

  function summary(pairs) {
    const alone = pairs.filter(([a, b]) => !a || !b).length;
    const changed = pairs.filter(
      ([a, b]) => a && b && (a.event.error !== null) !== (b.event.error !== null),
    ).length;
    if (!alone && !changed) return "The same steps in both sessions.";
    const parts = [
      alone ? `${count(alone)} ${alone === 1 ? "step is" : "steps are"} in one session only` : null,
      changed ? `${count(changed)} failed in one of them` : null,
    ];
    return `${parts.filter(Boolean).join(", ")}.`;
  }

  function facts() {
    const [a, b] = answers.map((answer) => answer.session);
    const lines = [
      ["Started", moment(a.start_time), moment(b.start_time), ""],
      ["Duration", duration(a.duration), duration(b.duration), change(a.duration, b.duration)],
      ["Steps", count(a.events), count(b.events), signed(b.events - a.events, count)],
      ["Errors", count(a.errors), count(b.errors), signed(b.errors - a.errors, count)],
      ["Tokens", count(a.tokens), count(b.tokens), signed(b.tokens - a.tokens, count)],
      ["Cost", cost(a) ?? "–", cost(b) ?? "–", ""],
      ...[...new Set([...Object.keys(a.scores), ...Object.keys(b.scores)])]
        .sort()
        .map((name) => scores(name, a.scores[name], b.scores[name])),
    ];
    return lines.map(([name, left, right, difference]) =>
      el(
        "tr",
        { class: left === right ? "fact" : "fact differs" },
        [left, right].map((value) =>
          el("td", {}, el("span", { class: "soft" }, `${name} `), value),
        ),
        el("td", { class: "num" }, difference),
      ),
    );
  }

  function scores(name, left, right) {
    const shown = (value) => (value === undefined ? "–" : score(value));
    return [
      name,
      shown(left),
      shown(right),
      left === undefined || right === undefined ? "" : signed(right - left, score),
    ];
  }

  function pairRow([a, b], at, open) {
    const opener = el(
      "button",
      {
        type: "button",
        class: "opener",
        "aria-expanded": "false",
        "aria-label": `Inputs and outputs of ${(a ?? b).event.name}`,
      },
      "▸",
    );
    const row = el(
      "tr",
      { class: `pair${!a || !b ? " alone" : ""}`, "data-at": at },
      cell(a, opener),
      cell(b),
      el(
        "td",
        { class: "num" },
        a && b ? change(a.event.duration, b.event.duration) : a ? "only left" : "only right",
      ),
    );
    row.addEventListener("click", (event) => {
      if (event.target.closest("a") || String(getSelection())) return;
      if (row.classList.contains("open")) close(row);
      else expand(row, a, b);
    });
    if (open) queueMicrotask(() => expand(row, a, b));
    return row;
  }

  function cell(step, opener = null) {
    if (!step) return el("td", { class: "absent" }, opener, opener ? " –" : "–");
    const failed = step.event.error !== null;
    return el(
      "td",
      { class: failed ? "failed" : null },
      el(
        "span",
        { class: "who", style: { "padding-left": `${(step.depth - 1) * 14}px` } },
        opener,
        shape(step.type),
        el("span", { class: "name" }, step.event.name),
        failed ? el("span", { class: "mark bad", title: step.event.error }, "error") : null,
        el(
          "span",
          { class: "soft" },
          step.event.duration === null ? "running" : duration(step.event.duration),
        ),
      ),
    );
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
      const records = await Promise.all(
        [a, b].map((step) =>
          step
            ? get(`/api/events/${encodeURIComponent(step.event.event_id)}`).then(
                (response) => response.body,
              )
            : null,
        ),
      );
      inside.replaceChildren(el("td", { colspan: 3 }, parts(records)));
    } catch (error) {
      inside.replaceChildren(
        el("td", { colspan: 3 }, el("p", { class: "failure" }, reasonOf(error))),
      );
    }
  }

  function parts(records) {
    const shown = PARTS.filter(([name]) => records.some((record) => filled(record?.[name])));
    if (!shown.length) return el("p", { class: "soft" }, "Neither has inputs or outputs.");
    return shown.map(([name, title]) => {
      const same = JSON.stringify(records[0]?.[name]) === JSON.stringify(records[1]?.[name]);
      return el(
        "section",
        { class: same ? "part same" : "part differs" },
        el(
          "h2",
          {},
          title,
          el("span", { class: "soft" }, same ? " the same in both" : " different"),
        ),
        el(
          "div",
          { class: "sides" },
          (same ? records.slice(0, 1) : records).map((record) =>
            el("div", {}, content(record?.[name])),
          ),
        ),
      );
    });
  }

  return {
    save: () => ({}),
    close() {
      for (const live of lives) live.stop();
    },
    key(event) {
      if (event.key === "Escape") {
        event.preventDefault();
        navigate("/");
      }
    },
  };
}

// Chat messages as a conversation, everything else as it is.
function content(field) {
  if (!filled(field)) return el("span", { class: "soft" }, "–");
  if (typeof field !== "object") return json(field);
  const { messages, rest } = splitMessages(field);
  return [messages ? conversation(messages) : null, rest ? json(rest) : null];
}

const filled = (value) =>
  value !== null &&
  value !== undefined &&
  !(typeof value === "object" && !Object.keys(value).length);
const signed = (value, shown) =>
  value === 0 ? "" : `${value > 0 ? "+" : "−"}${shown(Math.abs(value))}`;

function change(a, b) {
  if (a === null || b === null || a === b) return "";
  return signed(b - a, duration);
}

function steps(answer) {
  return rows(grow(answer.session, answer.events).root, new Set())
    .slice(1, STEPS_MAX + 1)
    .map(({ node, depth }) => ({ event: node.event, type: node.type, depth }));
}
