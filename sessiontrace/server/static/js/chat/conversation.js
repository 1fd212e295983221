// Chat messages as a conversation. Everything that is not a chat message goes to the JSON view.
//
// `conversation` draws a list of messages, `messageItem` one; both take messages of any API, as
// `splitMessages` finds them in a record.

import { el } from "../elements.js";
import { json } from "../json_tree.js";
import { prose } from "../markdown.js";
import { amount, bytes } from "../values/format.js";
import { normalized } from "../values/message_parts.js";
import { callCard, mediaCard, resultCard } from "./cards.js";

const LONG_SYSTEM = 500; // characters

/**
 * @typedef {{raw?: boolean, earlier?: number, earlierNote?: any, results?: Map<string, any>}} Options
 * raw: texts exactly as they are, instead of markdown
 * earlier: how many messages at the begin are folded, as known from an earlier call
 * earlierNote: what is said of them
 * results: the results of calls by the id of the call, shown with their calls
 */

/** @param {any[]} messages @param {Options} [options] */
export function conversation(messages, options = {}) {
  const { earlier = 0 } = options;
  const { results, rest } = withCalls(messages.map(normalized), earlier);
  const draw = (some) =>
    some.map((message) => (message ? drawn(message, { ...options, results }) : null));
  const chat = el("ol", { class: "chat" }, draw(rest.slice(earlier)));
  if (earlier <= 0) return chat;
  const before = el("ol", { class: "chat" });
  const fold = el(
    "details",
    { class: "earlier" },
    el("summary", {}, amount(earlier, "earlier message"), options.earlierNote ?? ""),
    before,
  );
  fold.addEventListener("toggle", () => {
    if (!before.firstChild) before.append(...draw(rest.slice(0, earlier)).filter(Boolean));
  });
  return el("div", {}, fold, chat);
}

/** One message. @param {any} message @param {Options} [options] */
export const messageItem = (message, options = {}) => drawn(normalized(message), options);

/**
 * The results of calls by their ids, and the messages without those that only hold such results. A
 * new result of a call that is folded stays where it is, with the name of its tool.
 */
function withCalls(messages, earlier) {
  const calls = new Map();
  const results = new Map();
  const rest = messages.map((message, at) => {
    const left = message.parts.filter((part) => {
      if (part.kind === "call" && part.id) calls.set(part.id, { name: part.name, at });
      const call = part.kind === "result" ? calls.get(part.id) : null;
      if (!call || results.has(part.id)) return true;
      if (at >= earlier && call.at < earlier) {
        part.name ??= call.name;
        return true;
      }
      results.set(part.id, part);
      return false;
    });
    return left.length || !message.parts.length ? { ...message, parts: left } : null;
  });
  return { results, rest };
}

function drawn(message, options) {
  return el(
    "li",
    { class: `from-${message.side}` },
    el(
      "div",
      { class: "role" },
      message.role,
      message.name ? el("span", { class: "mono" }, ` ${message.name}`) : null,
    ),
    message.parts.map((part) => drawnPart(part, message, options)),
  );
}

function drawnPart(part, message, options) {
  switch (part.kind) {
    case "text":
      return said(part.text, message, options);
    case "reasoning":
      return reasoning(part.text, options);
    case "refusal":
      return el("p", { class: "failure" }, part.text);
    case "call":
      return callCard(part, options.results?.get(part.id));
    case "result":
      return resultCard(part);
    case "media":
      return mediaCard(part.media);
    default:
      return el("div", { class: "said" }, json(part.value));
  }
}

function said(text, message, options) {
  if (message.side !== "system" || text.length <= LONG_SYSTEM)
    return el("div", { class: "said" }, prose(text, options));
  const [first] = text.trim().split("\n");
  return folding(
    { class: "said long" },
    [`${bytes(text.length)} `, el("span", { class: "j-peek" }, first.slice(0, 120))],
    () => prose(text, { ...options, folded: false }),
  );
}

function reasoning(text, options) {
  if (!text) return el("p", { class: "thought soft" }, "Reasoning, which its provider hides");
  return folding({ class: "thought", open: text.length < 280 }, ["Reasoning"], () =>
    prose(text, options),
  );
}

/** Details whose content is made when they are opened. */
function folding({ open = false, ...attributes }, summary, content) {
  const node = el("details", { ...attributes, open }, el("summary", {}, summary));
  const render = () => {
    if (node.open && node.children.length === 1) node.append(content());
  };
  node.addEventListener("toggle", render);
  render();
  return node;
}
