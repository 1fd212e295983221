// Chat messages as a conversation. Everything that is not a chat message goes to the JSON view.

import { el } from "./elements.js";
import { json, text } from "./json_tree.js";
import { parseJson } from "./values/chat_messages.js";

const ROLES = new Set([
  "system",
  "developer",
  "user",
  "assistant",
  "tool",
  "function",
  "human",
  "ai",
  "model",
]);
const SIDES = {
  user: "from-user",
  human: "from-user",
  system: "from-system",
  developer: "from-system",
  tool: "from-tool",
  function: "from-tool",
};

export function conversation(messages) {
  return el("ol", { class: "chat" }, messages.map(messageItem));
}

function messageItem(message) {
  const role = ROLES.has(message.role) ? message.role : "other";
  const side = SIDES[role] ?? "from-model";
  const parts = contents(message.content ?? message.parts, side);
  return el(
    "li",
    { class: side },
    el(
      "div",
      { class: "role" },
      message.role,
      typeof message.name === "string" ? el("span", { class: "mono" }, ` ${message.name}`) : null,
    ),
    parts,
    Array.isArray(message.tool_calls) ? message.tool_calls.map(toolCall) : null,
    typeof message.refusal === "string" ? el("p", { class: "failure" }, message.refusal) : null,
  );
}

function contents(content, side) {
  if (content === null || content === undefined || content === "") return null;
  if (typeof content === "string") {
    const inside = side === "from-tool" ? parseJson(content) : null;
    return el("div", { class: "said" }, inside ? json(inside) : text(content, "prose"));
  }
  if (!Array.isArray(content)) return el("div", { class: "said" }, json(content));
  return content.map((part) => {
    const partText = typeof part === "string" ? part : part?.text;
    return el(
      "div",
      { class: "said" },
      typeof partText === "string" ? text(partText, "prose") : json(part),
    );
  });
}

function toolCall(call) {
  const name = call?.function?.name ?? call?.name;
  const callArguments = call?.function?.arguments ?? call?.arguments ?? call?.args ?? call?.input;
  if (typeof name !== "string") return json(call);
  return el(
    "details",
    { class: "call", open: true },
    el("summary", {}, "calls ", el("code", {}, name)),
    callArguments === undefined
      ? null
      : json(
          typeof callArguments === "string"
            ? (parseJson(callArguments) ?? callArguments)
            : callArguments,
        ),
  );
}
