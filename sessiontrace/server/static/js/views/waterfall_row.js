// One row of the waterfall: the step in the tree, its tokens and cost, and its time on the axis.

import { el, shape } from "../elements.js";
import { cost, count, duration } from "../values/format.js";
import { guideLines } from "../values/guides.js";
import { countBelow, endOf, startOf } from "../values/tree.js";

/**
 * @param {any} row of `rows` in tree.js
 * @param {{session: any, axis: {from: number, to: number}, usage: any, folded: boolean,
 *   toggle: () => void}} context
 */
export function stepRow({ node, depth, guides }, context) {
  const { session, usage, folded, toggle } = context;
  const event = node.event;
  const { error, status } = event ?? session;
  const failed = error !== null;
  const name = event ? event.name : (session.name ?? "unnamed session");
  const row = el(
    "div",
    {
      class: `step type-${node.type} s-${status}${failed ? " failed" : ""}`,
      role: "treeitem",
      tabindex: "-1",
      "data-id": node.id,
      "aria-level": depth + 1,
      "aria-expanded": node.children.length ? String(!folded) : null,
      style: { "--depth": String(guides.length) },
    },
    el(
      "div",
      { class: "who" },
      el(
        "div",
        { class: "shift" },
        guides.length
          ? el("span", { class: "guides", style: { background: guideLines(guides) } })
          : null,
        fold(node, folded, toggle),
        shape(node.type),
        // The spaces are invisible: screen readers read a row as its text.
        el("span", { class: "name", title: name }, name),
        marks(node, { failed, error, status, folded }),
        " ",
        el("span", { class: "type" }, kindOf(node, name)),
      ),
    ),
    " ",
    usage.tokens || usage.cost ? used(usage) : null,
    lane(node, context, failed, status),
  );
  return row;
}

const kindOf = ({ event, type }, name) =>
  event?.model && !name.includes(event.model) ? el("span", { class: "model" }, event.model) : type;

function fold(node, folded, toggle) {
  if (!node.children.length) return el("span", { class: "fold" });
  const onclick = (click) => {
    click.stopPropagation();
    toggle();
  };
  return el("span", { class: "fold", "aria-hidden": "true", onclick }, folded ? "▸" : "▾");
}

function marks(node, { failed, error, status, folded }) {
  const unusual = status === "open" || status === "abandoned" || status === "cancelled";
  return [
    failed ? el("span", { class: "mark bad", title: error }, "error") : null,
    unusual ? el("span", { class: `mark s-${status}` }, status) : null,
    node.lost
      ? el(
          "span",
          { class: "mark", title: "The parent of this step is not in this store" },
          "parent missing",
        )
      : null,
    folded ? el("span", { class: "mark" }, `+${countBelow(node)}`) : null,
  ].flatMap((mark) => (mark ? [" ", mark] : []));
}

function used(usage) {
  const sum = usage.own ? "" : " sum";
  const money = cost(usage);
  const title = usage.own ? null : "Of the steps below";
  return [
    el(
      "div",
      { class: `use tokens${sum}`, title },
      usage.tokens ? [count(usage.tokens), el("span", { class: "hidden" }, " tokens")] : null,
    ),
    " ",
    el("div", { class: `use cost${sum}`, title: money }, money),
    " ",
  ];
}

/** Start, end and duration of a row. */
export function times(node, session) {
  const step = node.event ?? session;
  const start = startOf(step);
  return { start, end: endOf(step) ?? Math.max(endOf(session), start), took: step.duration };
}

function lane(node, { session, axis }, failed, status) {
  const { from, to } = axis;
  const { start, end, took } = times(node, session);
  if (end < from || start > to) return el("div", { class: "lane" });
  const percent = (at) => Math.min(100, Math.max(0, ((at - from) / (to - from)) * 100));
  const left = percent(start);
  const right = percent(Math.max(end, start + (took ?? 0)));
  return el(
    "div",
    { class: "lane" },
    el("div", {
      class: `bar${failed ? " failed" : ""} s-${status}`,
      style: { left: `${left}%`, width: `${right - left}%` },
    }),
    node.event ? firstChunk(node.event, axis) : null,
    el(
      "span",
      { class: "took", style: { left: `${right}%` } },
      took === null ? "running" : duration(took),
    ),
  );
}

// A notch in the bar where the first chunk of a streamed answer arrived.
function firstChunk(event, { from, to }) {
  if (event.first_chunk === null) return null;
  const at = ((startOf(event) + event.first_chunk - from) / (to - from)) * 100;
  if (at < 0 || at > 100) return null;
  return el("i", {
    class: "first-chunk",
    style: { left: `${at}%` },
    title: `First chunk after ${duration(event.first_chunk)}`,
  });
}
