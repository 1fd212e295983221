// JSON that can be folded. Folded content is made when it is opened, so that a large value costs only
// what is visible.

import { el } from "./elements.js";
import { text } from "./plain_text.js";
import { amount, count } from "./values/format.js";

const MANY = 100;

/**
 * @param {any} value
 * @param {(value: any) => Node | null} [leaf] draws a value within in a form of its own, or does not
 */
export function json(value, leaf = () => null) {
  return drawn(value, leaf, 0);
}

function drawn(value, leaf, depth) {
  if (value === null) return el("span", { class: "j-null" }, "null");
  if (typeof value === "string") return text(value);
  if (typeof value !== "object")
    return el("span", { class: typeof value === "number" ? "j-number" : "j-bool" }, String(value));
  const size = Array.isArray(value) ? value.length : Object.keys(value).length;
  if (!size) return el("span", { class: "j-null" }, Array.isArray(value) ? "[ ]" : "{ }");
  return depth === 0 ? entries(value, leaf, depth) : folding(value, size, leaf, depth, null);
}

function folding(value, size, leaf, depth, key) {
  const kind = Array.isArray(value) ? amount(size, "item") : amount(size, "key");
  const node = el(
    "details",
    { class: "j-fold" },
    el(
      "summary",
      {},
      key === null ? null : el("span", { class: "j-key" }, key),
      el("span", { class: "j-brace" }, Array.isArray(value) ? "[ ]" : "{ }"),
      ` ${kind}`,
      el("span", { class: "j-peek" }, peek(value)),
    ),
  );
  let rendered = false;
  const render = () => {
    if (rendered || !node.open) return;
    rendered = true;
    node.append(entries(value, leaf, depth));
  };
  node.addEventListener("toggle", render);
  if (depth < 3 && size <= 12 && JSON.stringify(value).length < 2000) {
    node.open = true;
    render();
  }
  return node;
}

function entries(value, leaf, depth) {
  const list = el("dl", { class: "j" });
  const all = Object.entries(value);
  const add = (from) => {
    for (const [key, item] of all.slice(from, from + MANY)) {
      list.append(entry(key, item, leaf, depth + 1));
    }
    const remaining = all.length - from - MANY;
    if (remaining <= 0) return;
    const button = el(
      "button",
      { type: "button", class: "quiet small" },
      `${count(remaining)} more`,
    );
    button.addEventListener("click", () => {
      button.remove();
      add(from + MANY);
    });
    list.append(button);
  };
  add(0);
  return list;
}

function entry(key, item, leaf, depth) {
  const own = leaf(item);
  if (own) return el("div", { class: "block" }, el("dt", {}, key), el("dd", {}, own));
  const size = item !== null && typeof item === "object" ? Object.keys(item).length : 0;
  if (size)
    return el(
      "div",
      { class: "nested" },
      el("dt", { class: "hidden" }, key),
      el("dd", {}, folding(item, size, leaf, depth, key)),
    );
  const long = typeof item === "string" && (item.length > 60 || item.includes("\n"));
  return el(
    "div",
    { class: long ? "block" : null },
    el("dt", {}, key),
    el("dd", {}, drawn(item, leaf, depth)),
  );
}

function peek(value) {
  const words = Object.entries(value)
    .slice(0, 4)
    .map(([key, item]) => {
      const short = item !== null && typeof item === "object" ? "…" : String(item).slice(0, 24);
      return Array.isArray(value) ? short : `${key}: ${short}`;
    });
  return words.join(", ").slice(0, 90);
}
