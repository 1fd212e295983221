// Two sessions side by side: their facts, and their steps lined up by what they are, so that a step
// that only one of them has stands alone.

import { ask, poll, unchanged } from "./api.js";
import { conversation, split } from "./chat.js";
import { el, shape } from "./dom.js";
import { count, duration, moment, money, score } from "./format.js";
import { json } from "./json.js";
import { grow, rows } from "./tree.js";

const EVERY = 2000;
const MOST = 1500; // steps of a session that are lined up: the table of lengths is their product
const PARTS = [["inputs", "Inputs"], ["outputs", "Outputs"], ["config", "Config"], ["error", "Error"]];

export function compareView({ main, tell, crumb, go }, left, right) {
  const ids = [left, right];
  const answers = [null, null];
  const body = el("div", { class: "compare-view" });
  main.append(el("h1", { class: "hidden" }, "Comparison of two sessions"), body);
  document.title = "Comparison · sessiontrace";
  crumb(el("a", { href: "/", "data-route": true }, "Sessions"), el("span", { class: "here" }, "Comparison"));
  const lives = ids.map((id, at) => poll(() => `/api/sessions/${encodeURIComponent(id)}`, {
    every: EVERY,
    seen(answer) {
      tell("live");
      if (answer === unchanged) return;
      answers[at] = answer;
      if (answers[0] && answers[1]) draw();
    },
    failed(error) {
      tell(error.status && error.status !== 404 ? "failing" : error.status ? "live" : "lost", error.message);
      if (!answers[at]) body.replaceChildren(el("div", { class: "note" }, el("h2", {}, error.status === 404 ? "One of these sessions is not here" : "The sessions cannot be shown"), el("p", {}, error.message)));
    },
  }));

  function draw() {
    const open = new Set([...body.querySelectorAll("tr.pair.open")].map((row) => row.dataset.at));
    const pairs = align(...answers.map(steps));
    const table = el("table", { class: "pairs" },
      el("thead", {}, el("tr", {}, answers.map((answer) => el("th", { scope: "col" },
        el("a", { href: `/sessions/${encodeURIComponent(answer.session.session_id)}`, "data-route": true }, answer.session.name ?? "unnamed session"))), el("th", { scope: "col", class: "num" }, "Difference"))),
      el("tbody", {}, facts(), pairs.map((pair, at) => pairRow(pair, at, open.has(String(at))))));
    const cut = answers.some((answer) => answer.events.length > MOST) ? el("p", { class: "soft" }, `Only the first ${count(MOST)} steps of each session are compared.`) : null;
    body.replaceChildren(...[el("p", { class: "soft summary", role: "status" }, summary(pairs)), table, cut].filter(Boolean));
  }

  function summary(pairs) {
    const alone = pairs.filter(([a, b]) => !a || !b).length;
    const changed = pairs.filter(([a, b]) => a && b && (a.event.error !== null) !== (b.event.error !== null)).length;
    if (!alone && !changed) return "The same steps in both sessions.";
    return [alone ? `${count(alone)} ${alone === 1 ? "step is" : "steps are"} in one session only` : null, changed ? `${count(changed)} failed in one of them` : null].filter(Boolean).join(", ") + ".";
  }

  function facts() {
    const [a, b] = answers.map((answer) => answer.session);
    const lines = [
      ["Started", moment(a.start_time), moment(b.start_time), ""],
      ["Duration", duration(a.duration), duration(b.duration), change(a.duration, b.duration)],
      ["Steps", count(a.events), count(b.events), signed(b.events - a.events, count)],
      ["Errors", count(a.errors), count(b.errors), signed(b.errors - a.errors, count)],
      ["Tokens", count(a.tokens), count(b.tokens), signed(b.tokens - a.tokens, count)],
      ["Cost", money(a.cost), money(b.cost), ""],
      ...[...new Set([...Object.keys(a.scores), ...Object.keys(b.scores)])].sort().map((name) => scores(name, a.scores[name], b.scores[name])),
    ];
    return lines.map(([name, one, two, differs]) => el("tr", { class: one === two ? "fact" : "fact differs" },
      [one, two].map((value) => el("td", {}, el("span", { class: "soft" }, `${name} `), value)), el("td", { class: "num" }, differs)));
  }

  function scores(name, one, two) {
    const shown = (value) => (value === undefined ? "–" : score(value));
    return [name, shown(one), shown(two), one === undefined || two === undefined ? "" : signed(two - one, score)];
  }

  function pairRow([a, b], at, open) {
    const opener = el("button", { type: "button", class: "opener", "aria-expanded": "false", "aria-label": `What went into and out of ${(a ?? b).event.name}` }, "▸");
    const row = el("tr", { class: `pair${!a || !b ? " alone" : ""}`, "data-at": at },
      cell(a, opener), cell(b), el("td", { class: "num" }, a && b ? change(a.event.duration, b.event.duration) : a ? "only left" : "only right"));
    row.addEventListener("click", (event) => {
      if (event.target.closest("a") || String(getSelection())) return;
      if (row.classList.contains("open")) close(row);
      else expand(row, a, b);
    });
    if (open) queueMicrotask(() => expand(row, a, b));
    return row;
  }

  function cell(one, opener = null) {
    if (!one) return el("td", { class: "absent" }, opener, opener ? " –" : "–");
    const failed = one.event.error !== null;
    return el("td", { class: failed ? "failed" : null },
      el("span", { class: "who", style: { "padding-left": `${(one.depth - 1) * 14}px` } }, opener, shape(one.type), el("span", { class: "name" }, one.event.name),
        failed ? el("span", { class: "mark bad", title: one.event.error }, "error") : null,
        el("span", { class: "soft" }, one.event.duration === null ? "running" : duration(one.event.duration))));
  }

  function turn(row, open) {
    row.classList.toggle("open", open);
    const opener = row.querySelector(".opener");
    opener.setAttribute("aria-expanded", String(open));
    opener.textContent = open ? "▾" : "▸";
  }

  function close(row) {
    turn(row, false);
    if (row.nextSibling?.matches?.("tr.inside")) row.nextSibling.remove();
  }

  async function expand(row, a, b) {
    turn(row, true);
    const inside = el("tr", { class: "inside" }, el("td", { colspan: 3 }, "Loading"));
    row.after(inside);
    try {
      const records = await Promise.all([a, b].map((one) => (one ? ask(`/api/events/${encodeURIComponent(one.event.event_id)}`).then((got) => got.body) : null)));
      inside.replaceChildren(el("td", { colspan: 3 }, parts(records)));
    } catch (error) {
      inside.replaceChildren(el("td", { colspan: 3 }, el("p", { class: "failure" }, error.message)));
    }
  }

  function parts(records) {
    const shown = PARTS.filter(([name]) => records.some((record) => filled(record?.[name])));
    if (!shown.length) return el("p", { class: "soft" }, "Neither has inputs or outputs.");
    return shown.map(([name, title]) => {
      const same = JSON.stringify(records[0]?.[name]) === JSON.stringify(records[1]?.[name]);
      return el("section", { class: same ? "part same" : "part differs" },
        el("h2", {}, title, el("span", { class: "soft" }, same ? " the same in both" : " different")),
        el("div", { class: "sides" }, (same ? records.slice(0, 1) : records).map((record) => el("div", {}, content(record?.[name])))));
    });
  }

  return {
    keep: () => ({}),
    close: () => lives.forEach((live) => live.stop()),
    key(event) { if (event.key === "Escape") { event.preventDefault(); go("/"); } },
  };
}

// Chat messages as a conversation, everything else as it is.
function content(bucket) {
  if (!filled(bucket)) return el("span", { class: "soft" }, "–");
  if (typeof bucket !== "object") return json(bucket);
  const { messages, rest } = split(bucket);
  return [messages ? conversation(messages) : null, rest ? json(rest) : null];
}

const filled = (value) => value !== null && value !== undefined && !(typeof value === "object" && !Object.keys(value).length);
const signed = (value, shown) => (value === 0 ? "" : `${value > 0 ? "+" : "−"}${shown(Math.abs(value))}`);

function change(a, b) {
  if (a === null || b === null || a === b) return "";
  return signed(b - a, duration);
}

function steps(answer) {
  return rows(grow(answer.session, answer.events).root, new Set()).slice(1, MOST + 1)
    .map(({ node, depth }) => ({ event: node.event, type: node.type, depth }));
}

// The longest common sequence of steps that are the same in depth, type and name.
export function align(a, b) {
  const same = (one, two) => one.depth === two.depth && one.type === two.type && one.event.name === two.event.name;
  const width = b.length + 1;
  const lengths = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      lengths[i * width + j] = same(a[i], b[j]) ? lengths[(i + 1) * width + j + 1] + 1 : Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1]);
    }
  }
  const pairs = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && same(a[i], b[j])) pairs.push([a[i++], b[j++]]);
    else if (j >= b.length || (i < a.length && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1])) pairs.push([a[i++], null]);
    else pairs.push([null, b[j++]]);
  }
  return pairs;
}
