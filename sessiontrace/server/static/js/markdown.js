// Texts that may be markdown. The server makes a tree of such a text, never HTML; this module makes
// elements of the tree. Until the tree arrives, and without one, the text stands as it is.

import { fetchTrees } from "./api.js";
import { copyButton, el } from "./elements.js";
import { text } from "./plain_text.js";
import { bytes } from "./values/format.js";
import { batches, mayHoldMarkdown, TREE_CHARACTERS } from "./values/markdown_text.js";

const LONG = 1500; // characters: a longer text is folded
const CACHED = 500;
const cache = new Map(); // text -> tree or null
let waiting = new Map(); // text -> functions that take its tree
let available = true; // the server can make trees

/**
 * An element with a text as its writer meant it: markdown, or exactly as it is.
 * @param {string} value
 * @param {{raw?: boolean, folded?: boolean}} [options] folded: whether a long text is folded
 */
export function prose(value, { raw = false, folded = true } = {}) {
  if (value.length > TREE_CHARACTERS) return text(value, "prose");
  const node = el("div", { class: "prose", dir: "auto" }, value);
  if (!raw && available && mayHoldMarkdown(value))
    withTree(value, (tree) => {
      node.classList.add("md");
      node.replaceChildren(...build(tree));
    });
  return folded && value.length > LONG ? clamped(node, value.length) : node;
}

function clamped(node, length) {
  node.classList.add("clamp");
  const button = el(
    "button",
    { type: "button", class: "quiet small" },
    `Show all ${bytes(length)}`,
  );
  button.addEventListener("click", () => {
    node.classList.remove("clamp");
    button.remove();
  });
  return el("div", {}, node, button);
}

function withTree(value, take) {
  const cached = cache.get(value);
  if (cached) take(cached);
  if (cache.has(value)) return;
  if (!waiting.size) setTimeout(request, 0);
  waiting.set(value, [...(waiting.get(value) ?? []), take]);
}

async function request() {
  const takers = waiting;
  waiting = new Map();
  for (const batch of batches(takers.keys())) {
    try {
      const answer = await fetchTrees(batch);
      available = answer.available;
      if (!available) return;
      if (cache.size > CACHED) cache.clear();
      for (const [at, value] of batch.entries()) {
        cache.set(value, answer.trees[at]);
        if (answer.trees[at]) for (const take of takers.get(value)) take(answer.trees[at]);
      }
    } catch {
      // The text stands as it is; the next one asks again.
    }
  }
}

const PLAIN = new Set(
  "blockquote br code em h1 h2 h3 h4 h5 h6 hr li ol p s strong tbody thead tr ul".split(" "),
);
const table = (_, children) =>
  el("div", { class: "scroll", tabindex: "0" }, el("table", {}, build(children)));
const cell = ({ align }, children, tag) =>
  el(tag, { class: align ? `to-${align}` : null }, build(children));
const BUILDERS = { a: link, img: picture, pre: codeBlock, table, td: cell, th: cell };

function build(nodes) {
  return nodes.map((node) => {
    if (typeof node === "string") return node;
    const [tag, attributes, children] = node;
    if (Object.hasOwn(BUILDERS, tag)) return BUILDERS[tag](attributes, children, tag);
    if (!PLAIN.has(tag)) return el("span", {}, build(children));
    // A heading of a record is no heading of the page.
    if (/^h\d$/.test(tag)) return el("p", { class: `md-h md-${tag}` }, build(children));
    return el(tag, tag === "ol" ? { start: attributes.start } : {}, build(children));
  });
}

function link({ href }, children) {
  if (!/^(https?:\/\/|mailto:)/i.test(href)) return el("span", {}, build(children));
  const attributes = { href, title: href, target: "_blank", rel: "noopener noreferrer nofollow" };
  return el("a", { class: "md-a", ...attributes }, build(children));
}

function picture({ src, alt }) {
  return isPicture(src) ? el("img", { src, alt, class: "picture" }) : alt;
}

/** Whether an address holds a picture that the browser may draw: pixels only. @param {any} source */
export const isPicture = (source) =>
  typeof source === "string" &&
  /^data:image\/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}$/.test(source);

function codeBlock({ lang }, children) {
  const code = String(children[0] ?? "");
  return el(
    "div",
    { class: "code" },
    lang ? el("span", { class: "lang" }, lang) : null,
    copyButton("Copy", () => code),
    el("pre", { tabindex: "0" }, el("code", {}, code)),
  );
}
