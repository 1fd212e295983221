// Chat messages as a conversation. What is no chat message is left to the JSON view.

import { el } from "./dom.js";
import { json, text } from "./json.js";

const LISTS = ["chat_history", "messages"];
const ROLES = new Set(["system", "developer", "user", "assistant", "tool", "function", "human", "ai", "model"]);

const isMessage = (value) => value !== null && typeof value === "object" && typeof value.role === "string" && ("content" in value || "tool_calls" in value || "parts" in value);
const isChat = (value) => Array.isArray(value) && value.length > 0 && value.every(isMessage);

// Splits one of a record's objects into what is a conversation and the rest of it.
export function split(bucket) {
  if (isMessage(bucket)) {
    const { role, content, tool_calls: calls, name, tool_call_id: id, refusal, ...rest } = bucket;
    return { messages: [bucket], rest: empty(rest) };
  }
  for (const list of LISTS) {
    if (isChat(bucket[list])) {
      const { [list]: messages, ...rest } = bucket;
      return { messages, rest: empty(rest) };
    }
  }
  if (isChat(bucket.result)) {
    const { result, ...rest } = bucket;
    return { messages: result, rest: empty(rest) };
  }
  return { messages: null, rest: bucket };
}

const empty = (value) => (Object.keys(value).length ? value : null);

export function conversation(messages) {
  return el("ol", { class: "chat" }, messages.map(message));
}

function message(one) {
  const role = ROLES.has(one.role) ? one.role : "other";
  const side = { user: "from-user", human: "from-user", system: "from-system", developer: "from-system", tool: "from-tool", function: "from-tool" }[role] ?? "from-model";
  const parts = contents(one.content ?? one.parts, side);
  return el("li", { class: side },
    el("div", { class: "role" }, one.role, typeof one.name === "string" ? el("span", { class: "mono" }, ` ${one.name}`) : null),
    parts,
    Array.isArray(one.tool_calls) ? one.tool_calls.map(call) : null,
    typeof one.refusal === "string" ? el("p", { class: "failure" }, one.refusal) : null);
}

function contents(content, side) {
  if (content === null || content === undefined || content === "") return null;
  if (typeof content === "string") {
    const inside = side === "from-tool" ? parsed(content) : null;
    return el("div", { class: "said" }, inside ? json(inside) : text(content, "prose"));
  }
  if (!Array.isArray(content)) return el("div", { class: "said" }, json(content));
  return content.map((part) => {
    const said = typeof part === "string" ? part : part?.text;
    return el("div", { class: "said" }, typeof said === "string" ? text(said, "prose") : json(part));
  });
}

function call(one) {
  const name = one?.function?.name ?? one?.name;
  const given = one?.function?.arguments ?? one?.arguments ?? one?.args ?? one?.input;
  if (typeof name !== "string") return json(one);
  return el("details", { class: "call", open: true },
    el("summary", {}, "calls ", el("code", {}, name)),
    given === undefined ? null : json(typeof given === "string" ? parsed(given) ?? given : given));
}

function parsed(string) {
  if (!/^\s*[[{]/.test(string)) return null;
  try {
    return JSON.parse(string);
  } catch {
    return null;
  }
}
